#!/bin/sh
# Makes a small root file system for containers from this system's own programs, and images of it that
# the container hosts import without a network. Runs in the guest's tree while it is built.
#
#   /srv/images/root        the directory (crun, LXC)
#   /srv/images/image.tar   as `docker save` writes it (Docker, Podman, containerd): localhost/box:latest,
#                           and the same as localhost/pause:latest, for the sandboxes of containerd's CRI
#   /srv/images/incus.tar   an image for Incus
set -eu
images=/srv/images
root=$images/root

# With their libraries; the rest comes from busybox. The shell is not its own: that one would run its own
# `free` instead of the one in /usr/bin.
programs="sh free getconf iostat lscpu mpstat nproc uptime vmstat"

mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64"
for dir in dev etc proc root run srv sys tmp var; do
    mkdir "$root/$dir"
done
for link in bin sbin lib lib64; do
    ln -s "usr/$link" "$root/$link"
done
for program in $programs; do
    path=$(readlink -f "$(command -v "$program")")
    cp "$path" "$root/usr/bin/$program"
    for library in $(ldd "$path" | grep -o '/[^ ]*'); do
        mkdir -p "$root/${library%/*}"
        cp -nL "$library" "$root/$library"
    done
done
cp "$(command -v busybox)" "$root/usr/bin/busybox"
for applet in $(busybox --list); do
    [ -e "$root/usr/bin/$applet" ] || ln -s busybox "$root/usr/bin/$applet"
done
ln -s ../bin/busybox "$root/usr/sbin/init"
echo 'root:x:0:0::/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
echo '127.0.0.1 localhost' >"$root/etc/hosts"
echo '::sysinit:/bin/true' >"$root/etc/inittab"

work=$(mktemp -d)
tar -C "$root" -cf "$work/layer.tar" .
layer=$(sha256sum "$work/layer.tar" | cut -d ' ' -f 1)
cat >"$work/config.json" <<END
{"architecture": "amd64", "os": "linux", "created": "2025-01-01T00:00:00Z",
 "config": {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["sleep", "infinity"]},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$layer"]},
 "history": [{"created": "2025-01-01T00:00:00Z"}]}
END
cat >"$work/manifest.json" <<END
[{"Config": "config.json", "RepoTags": ["localhost/box:latest", "localhost/pause:latest"], "Layers": ["layer.tar"]}]
END
tar -C "$work" -cf "$images/image.tar" manifest.json config.json layer.tar

cat >"$work/metadata.yaml" <<END
architecture: x86_64
creation_date: 1735689600
properties:
  description: box
END
tar -C "$work" --transform 's,^\./,rootfs/,' --transform 's,^\.$,rootfs,' \
    -cf "$images/incus.tar" metadata.yaml -C "$root" .
rm -r "$work"
