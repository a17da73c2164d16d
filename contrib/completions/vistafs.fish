# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_vistafs_global_optspecs
    string join \n config= v/verbose as-lxcfs= h/help V/version
end

function __fish_vistafs_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_vistafs_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_vistafs_using_subcommand
    set -l cmd (__fish_vistafs_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c vistafs -n "__fish_vistafs_needs_command" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_needs_command" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_needs_command" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_needs_command" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_needs_command" -s V -l version -d 'Print version'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "mount" -d 'Mount at DIR and serve until SIGINT or SIGTERM'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "lxcfs" -d 'Mount as a replacement of lxcfs, with the options of lxcfs'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "unmount" -d 'Unmount DIR, even if it has no server'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "reload" -d 'Reload the configuration; an invalid one changes nothing'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "upgrade" -d 'Replace the running vistafs by the installed version'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "run" -d 'Run a command in a small container with limits'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "show" -d 'Print what a process or a cgroup would see, without a mount'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "views" -d 'List the views: enabled or not and why, and what they read'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "config" -d 'Validate the configuration, or print its values'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "doctor" -d 'Check this host and suggest fixes'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "status" -d 'Show the status of a mount: processes, requests, errors, latency'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "repair" -d 'Replace dead views in running containers'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "attach" -d 'Place views in running containers'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "detach" -d 'Remove views from running containers'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "docker-args" -d 'Print the options that bind the views for docker or podman run'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "cdi" -d 'Print the views as devices of the Container Device Interface'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "oci-hook" -d 'Bind the views into a container, as a createContainer hook'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "oci-runtime" -d 'Run an OCI runtime and add the views to its containers'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "nri" -d 'Add the views to pods, as an NRI plugin of containerd or CRI-O'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "lxc-hook" -d 'Bind the views into a container, as a hook.mount of LXC'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "command-guard" -d 'Internal: how a worker starts the command of a custom file'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "try-plugin" -d 'Internal: loads the file of a plugin in a separate process, which it may end'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "run-init" -d '`vistafs run-init`: internal, started by `vistafs run` in the new pid namespace'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "hold" -d 'Internal: how a supervisor starts the process that holds shared files open'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "worker" -d 'Internal: how a supervisor starts its workers'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "repair-worker" -d 'Internal: how `vistafs repair` starts its worker'
complete -c vistafs -n "__fish_vistafs_needs_command" -f -a "attach-worker" -d 'Internal: how `vistafs attach` and `vistafs detach` start their worker'
complete -c vistafs -n "__fish_vistafs_using_subcommand mount" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand mount" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand mount" -l stored -d 'Keep the mount in systemd\'s descriptor store on SIGTERM (see vistafs.service)'
complete -c vistafs -n "__fish_vistafs_using_subcommand mount" -l handover -d 'Take the mount over from a running vistafs, and hand it over to the next one'
complete -c vistafs -n "__fish_vistafs_using_subcommand mount" -l mkdir -d 'Create DIR if it does not exist'
complete -c vistafs -n "__fish_vistafs_using_subcommand mount" -l no-repair -d 'Do not repair dead views of running containers'
complete -c vistafs -n "__fish_vistafs_using_subcommand mount" -l page-cache -d 'Serve page-cached files only, without OPEN, as a second mount'
complete -c vistafs -n "__fish_vistafs_using_subcommand mount" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand mount" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand lxcfs" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand lxcfs" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand lxcfs" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand unmount" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand unmount" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand unmount" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand unmount" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand reload" -l mount -d 'The mount point of vistafs' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand reload" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand reload" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand reload" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand reload" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand upgrade" -l mount -d 'The mount point of vistafs' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand upgrade" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand upgrade" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand upgrade" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand upgrade" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand run" -l memory -d 'Memory, in bytes or with k, M, G or T, such as 256M' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand run" -l memory-swap -d 'Memory and swap together; needs --memory' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand run" -l cpus -d 'CPU time, in CPUs, such as 1.5' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand run" -l cpuset -d 'The CPUs, such as 0-1 or 0,2' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand run" -l name -d 'Name of the container: its host name, and that of its cgroups below /vistafs [default: run-PID]' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand run" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand run" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand run" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand run" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand show" -l pid -d 'Show what the container of this process sees' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand show" -l cgroup -d 'Show this cgroup, by its path below the root of each hierarchy' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand show" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand show" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand show" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand show" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand views" -l restore -d 'Enable a view again that was disabled because workers crashed while serving it' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand views" -l mount -d 'The mount point of vistafs' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand views" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand views" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand views" -l json -d 'Print JSON'
complete -c vistafs -n "__fish_vistafs_using_subcommand views" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand views" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and not __fish_seen_subcommand_from check show example" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and not __fish_seen_subcommand_from check show example" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and not __fish_seen_subcommand_from check show example" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and not __fish_seen_subcommand_from check show example" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and not __fish_seen_subcommand_from check show example" -f -a "check" -d 'Print one line per error; the exit status is 1 if there is one'
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and not __fish_seen_subcommand_from check show example" -f -a "show" -d 'Print each key, its value, and the source of the value'
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and not __fish_seen_subcommand_from check show example" -f -a "example" -d 'Print a configuration with all keys'
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and __fish_seen_subcommand_from check" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and __fish_seen_subcommand_from check" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and __fish_seen_subcommand_from show" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and __fish_seen_subcommand_from show" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and __fish_seen_subcommand_from show" -l json -d 'Print JSON'
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and __fish_seen_subcommand_from example" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and __fish_seen_subcommand_from example" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and __fish_seen_subcommand_from example" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand config; and __fish_seen_subcommand_from example" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand doctor" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand doctor" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand doctor" -l json -d 'Print JSON'
complete -c vistafs -n "__fish_vistafs_using_subcommand doctor" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand status" -l mount -d 'The mount point of vistafs' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand status" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand status" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand status" -l json -d 'Print JSON'
complete -c vistafs -n "__fish_vistafs_using_subcommand status" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand status" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand repair" -l mount -d 'The mount point of vistafs' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand repair" -l pid -d 'Only the mounts that this process sees; may be given several times' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand repair" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand repair" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand repair" -l dry-run -d 'Change nothing; report what would be repaired'
complete -c vistafs -n "__fish_vistafs_using_subcommand repair" -l json -d 'Print JSON'
complete -c vistafs -n "__fish_vistafs_using_subcommand repair" -l at-start -d 'Log a summary instead of a report: for vistafs mount'
complete -c vistafs -n "__fish_vistafs_using_subcommand repair" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand repair" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand attach" -l mount -d 'The mount point of vistafs' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand attach" -l pid -d 'The container of this process; may be given several times' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand attach" -l cgroup -d 'All containers with a process in this cgroup or below it' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand attach" -l only -d 'Only these views, by name' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand attach" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand attach" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand attach" -l all -d 'All containers of the host'
complete -c vistafs -n "__fish_vistafs_using_subcommand attach" -l dry-run -d 'Change nothing; report what would be done'
complete -c vistafs -n "__fish_vistafs_using_subcommand attach" -l json -d 'Print JSON'
complete -c vistafs -n "__fish_vistafs_using_subcommand attach" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand attach" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand detach" -l mount -d 'The mount point of vistafs' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand detach" -l pid -d 'The container of this process; may be given several times' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand detach" -l cgroup -d 'All containers with a process in this cgroup or below it' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand detach" -l only -d 'Only these views, by name' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand detach" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand detach" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand detach" -l all -d 'All containers of the host'
complete -c vistafs -n "__fish_vistafs_using_subcommand detach" -l dry-run -d 'Change nothing; report what would be done'
complete -c vistafs -n "__fish_vistafs_using_subcommand detach" -l json -d 'Print JSON'
complete -c vistafs -n "__fish_vistafs_using_subcommand detach" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand detach" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand docker-args" -l mount -d 'The mount point of vistafs' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand docker-args" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand docker-args" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand docker-args" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand docker-args" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand cdi; and not __fish_seen_subcommand_from generate" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand cdi; and not __fish_seen_subcommand_from generate" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand cdi; and not __fish_seen_subcommand_from generate" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand cdi; and not __fish_seen_subcommand_from generate" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand cdi; and not __fish_seen_subcommand_from generate" -f -a "generate" -d 'Generate the specification, for --device vistafs.dev/view=all or =meminfo'
complete -c vistafs -n "__fish_vistafs_using_subcommand cdi; and __fish_seen_subcommand_from generate" -l mount -d 'The mount point of vistafs' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand cdi; and __fish_seen_subcommand_from generate" -l output -d 'Replace FILE atomically instead of printing' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand cdi; and __fish_seen_subcommand_from generate" -l hook -d 'Path of the program on the host that runtimes execute as a hook [default: this one]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand cdi; and __fish_seen_subcommand_from generate" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand cdi; and __fish_seen_subcommand_from generate" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand cdi; and __fish_seen_subcommand_from generate" -l no-hooks -d 'Omit views that runtimes refuse as a mount and that need a hook'
complete -c vistafs -n "__fish_vistafs_using_subcommand cdi; and __fish_seen_subcommand_from generate" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand cdi; and __fish_seen_subcommand_from generate" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand oci-hook" -l mount -d 'The mount point of vistafs' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand oci-hook" -l page-cache -d 'Bind from this mount of the page-cache tree where it has the view, and from the usual mount otherwise' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand oci-hook" -l only -d 'Only these views, by name' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand oci-hook" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand oci-hook" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand oci-hook" -l required -d 'Fail, which keeps the container from starting, if the views cannot be bound'
complete -c vistafs -n "__fish_vistafs_using_subcommand oci-hook" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand oci-hook" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand oci-runtime" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand oci-runtime" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand oci-runtime" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand nri" -l mount -d 'The mount point of vistafs' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand nri" -l socket -d 'Socket of the runtime' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand nri" -l name -d 'Name of the plugin' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand nri" -l index -d 'Two digits; the runtime calls its plugins in this order' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand nri" -l hook -d 'Path of vistafs where the runtime executes hooks [default: this program]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand nri" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand nri" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand nri" -l no-hooks -d 'Use bind mounts; views that runtimes refuse as a mount are left out'
complete -c vistafs -n "__fish_vistafs_using_subcommand nri" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand nri" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand lxc-hook" -l mount -d 'The mount point of vistafs' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand lxc-hook" -l page-cache -d 'Bind from this mount of the page-cache tree where it has the view, and from the usual mount otherwise' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand lxc-hook" -l only -d 'Only these views, by name' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand lxc-hook" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand lxc-hook" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand lxc-hook" -l required -d 'Fail, which keeps the container from starting, if the views cannot be bound'
complete -c vistafs -n "__fish_vistafs_using_subcommand lxc-hook" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand lxc-hook" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand command-guard" -l user -d 'The user that runs it' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand command-guard" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand command-guard" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand command-guard" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand command-guard" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand try-plugin" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand try-plugin" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand try-plugin" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand try-plugin" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand run-init" -l view -d 'Path of a view to bind, below the mount and below /' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand run-init" -l parent -d 'Process ID of the `vistafs run` that started this, in the pid namespace of /proc' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand run-init" -l name -d 'Name of the container' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand run-init" -l open-files -d 'Soft limit of open files for the command (RLIMIT_NOFILE)' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand run-init" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand run-init" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand run-init" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand run-init" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand hold" -l mount -d 'The mount' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand hold" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand hold" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand hold" -l stay -d 'Hold the files; otherwise start the process that does'
complete -c vistafs -n "__fish_vistafs_using_subcommand hold" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand hold" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand worker" -l device -d 'Descriptor of /dev/fuse' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand worker" -l link -d 'Descriptor of the link to the supervisor' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand worker" -l handover -d 'Descriptor of the memory shared by workers' -r
complete -c vistafs -n "__fish_vistafs_using_subcommand worker" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand worker" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand worker" -l page-cache -d 'Serve the page-cache tree'
complete -c vistafs -n "__fish_vistafs_using_subcommand worker" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand worker" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand repair-worker" -l mount -d 'The mount point of vistafs' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand repair-worker" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand repair-worker" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand repair-worker" -l dry-run -d 'Change nothing'
complete -c vistafs -n "__fish_vistafs_using_subcommand repair-worker" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand repair-worker" -s h -l help -d 'Print help'
complete -c vistafs -n "__fish_vistafs_using_subcommand attach-worker" -l mount -d 'The mount point of vistafs' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand attach-worker" -l config -d 'Configuration [default: /etc/vistafs/config.toml]' -r -F
complete -c vistafs -n "__fish_vistafs_using_subcommand attach-worker" -l as-lxcfs -d 'Internal: the options of lxcfs, for workers' -r -f -a "plain\t'Called as lxcfs, whatever the options'
cfs\t'`--enable-cfs`'
loadavg\t'`--enable-loadavg`'
psi-poll\t'`--enable-psi-poll`'
cgroup\t'`--enable-cgroup`'
no-swap\t'`--disable-swap`'
no-zswap\t'`--disable-zswap`'
strict\t'`--strict-lxcfs`'"
complete -c vistafs -n "__fish_vistafs_using_subcommand attach-worker" -l detach -d 'Remove views'
complete -c vistafs -n "__fish_vistafs_using_subcommand attach-worker" -l dry-run -d 'Change nothing'
complete -c vistafs -n "__fish_vistafs_using_subcommand attach-worker" -s v -l verbose -d 'Verbose logging; -vv also logs every FUSE request'
complete -c vistafs -n "__fish_vistafs_using_subcommand attach-worker" -s h -l help -d 'Print help'
