#!/bin/busybox sh
# The first program of a guest: loads what it takes to see the disks, and hands over to systemd.
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
# accel.rs wants to know only whether the processor gets this far.
if /bin/busybox grep -qw vistafs.probe /proc/cmdline; then
    echo vistafs-probe: alive
    /bin/busybox reboot -f
fi
for module in $(/bin/busybox cat /modules.order); do
    /bin/busybox insmod "/modules/$module"
done
tries=0
while [ ! -b /dev/vdb ] && [ "$tries" -lt 100 ]; do
    /bin/busybox sleep 0.1
    tries=$((tries + 1))
done
/bin/busybox mount -t ext4 -o noatime,noinit_itable /dev/vda /root
# The root image has no modules: those of the booted kernel are on the second disk.
/bin/busybox mount -t ext4 -o ro,noatime /dev/vdb /root/usr/lib/modules
/bin/busybox umount /proc
/bin/busybox mount -o move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/init
