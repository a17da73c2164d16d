//! The tables are what they were: plugins that are built will be loaded by vistafs of later years.
//!
//! The rows here never change. A field that is added gets a row of its own.

use core::mem::{offset_of, size_of};

use super::*;

macro_rules! fixed {
    ($($table:ident { $($field:ident $at:literal),* $(,)? })*) => {
        $($(assert_eq!(
            (stringify!($table), stringify!($field), offset_of!($table, $field)),
            (stringify!($table), stringify!($field), $at),
        );)*)*
    };
}

#[test]
#[cfg(target_pointer_width = "64")]
fn fields_are_where_they_were() {
    fixed! {
        Str { ptr 0, len 8 }
        Plugin {
            abi_major 0, abi_minor 4, size 8, name 16, version 32, views 48, view_count 56,
        }
        OptionValue { kind 0, number 8, text 16 }
        OptionSpec { size 0, name 8, summary 24, default_value 40, least 72, most 80 }
        View {
            size 0, name 8, path 24, summary 40, kind 56, mode 60, flags 64, sources 72,
            source_count 80, options 88, option_count 96, data 104, make 112, render 120,
            render_on_host 128, channel 136, tree 144,
        }
        Channel { size 0, descriptor 8, data 16, functions 24 }
        ChannelFunctions { size 0, write 8, lasting 16, read 24, close 32 }
        Node { size 0, id 8, bytes 16, kind 24, mode 28, uid 32, gid 36, flags 40 }
        Change { size 0, set 8, mode 12, uid 16, gid 20 }
        Tree {
            size 0, lookup 8, attributes 16, list 24, open 32, read 40, read_link 48, channel 56,
            make_directory 64, remove_directory 72, change 80,
        }
        Caller { size 0, thread 8, uid 12, gid 16 }
        Container {
            size 0, id 8, name 16, age 32, start 40, boottime_offset_seconds 48,
            boottime_offset_nanoseconds 56, moves 64,
        }
        Cgroup { size 0, version 8, directory 12, hierarchy 16, path 32 }
        Memory {
            size 0, limit 8, usage 16, reclaimable 24, swap_limit 32, swap_usage 40,
            swap_in_pool 48, swap_accounted 52,
        }
        Cpu { size 0, user 8, system 16, throttled 24, quota 32, period 40, visible 48 }
        Tasks { size 0, total 8, running 16, blocked 24 }
        HostFacts {
            size 0, flags 8, root 12, page_size 16, clock_ticks 24, boottime 32, ttl 40,
            memory_total 48, online_cpus 56,
        }
        Host {
            abi_major 0, abi_minor 4, size 8, loaded 16, log 24, option 32, write 40, add_entry 48,
            explain 56, caller 64, pid_for_caller 72, container 80, remember 88, cgroup 96,
            cgroup_at 104, memory 112, cpu 120, visible_cpus 128, tasks 136, host 144,
            host_file 152,
        }
    }
}

/// Every accepted table must have the fields of version 1.0.
#[test]
#[cfg(target_pointer_width = "64")]
fn nothing_was_added_yet() {
    assert_eq!((ABI_MAJOR, ABI_MINOR), (1, 0));
    assert_eq!(size_of::<Plugin>(), 64);
    assert_eq!(size_of::<View>(), 152);
    assert_eq!(size_of::<OptionSpec>(), 88);
    assert_eq!(size_of::<Tree>(), 88);
    assert_eq!(size_of::<ChannelFunctions>(), 40);
    assert_eq!(size_of::<Host>(), 160);
}

/// They never get another meaning.
#[test]
fn constants_are_what_they_were() {
    assert_eq!((KIND_FILE, KIND_TREE), (0, 1));
    assert_eq!(VIEW_OFF_BY_DEFAULT, 1);
    assert_eq!((VIEW_FIXED_LENGTH, VIEW_NEEDS_HOST_FILE), (2, 4));
    assert_eq!((OPTION_FLAG, OPTION_NUMBER, OPTION_TEXT), (0, 1, 2));
    assert_eq!((ACCESS_READ, ACCESS_WRITE), (1, 2));
    assert_eq!((SHOW_HOSTS_OWN, READ_BY_TREE), (1, 1));
    assert_eq!((NODE_DIRECTORY, NODE_FILE, NODE_LINK), (0, 1, 2));
    assert_eq!((NODE_LASTING, NODE_CHANGEABLE), (1, 2));
    assert_eq!((CHANGE_MODE, CHANGE_UID, CHANGE_GID), (1, 2, 4));
    assert_eq!(
        (LEVEL_ERROR, LEVEL_WARN, LEVEL_INFO, LEVEL_DEBUG),
        (1, 2, 3, 4)
    );
    assert_eq!((FLAG_RENUMBER_CPUS, FLAG_SWAP), (1, 2));
    assert_eq!((FLAG_CAPTURED, FLAG_CPU_QUOTA), (4, 8));
    assert_eq!(NO_LIMIT, u64::MAX);
}
