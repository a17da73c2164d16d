# watched SECONDS COMMAND...: runs it. If it takes longer, tells what every thread waits for that has to
# do with FUSE or with vistafs, and kills the command: what comes after it is still run.
watched() {
    limit=$1
    shift
    number=$(mktemp)
    # It is the one in the background: what a shell starts there ignores SIGINT.
    {
        sleep "$limit"
        echo "not ended after $limit s; who waits where:"
        for task in /proc/[0-9]*/task/*; do
            name=$(cat "$task/comm") && stack=$(tr '\n' ' ' <"$task/stack") || continue
            case "$(readlink "${task%/task/*}/exe") $stack" in
            *fuse* | *vistafs*) echo "${task#/proc/} $name: $stack" ;;
            esac
        done 2>/dev/null
        kill -KILL "$(cat "$number")"
    } &
    watcher=$!
    # shellcheck disable=SC2016 # The inner shell's own.
    sh -c 'echo $$ >"$0" && exec "$@"' "$number" "$@"
    set -- $?
    kill "$watcher" 2>/dev/null
    rm "$number"
    return "$1"
}
