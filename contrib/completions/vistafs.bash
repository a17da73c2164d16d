_vistafs() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="vistafs"
                ;;
            vistafs,attach)
                cmd="vistafs__subcmd__attach"
                ;;
            vistafs,attach-worker)
                cmd="vistafs__subcmd__attach__subcmd__worker"
                ;;
            vistafs,cdi)
                cmd="vistafs__subcmd__cdi"
                ;;
            vistafs,command-guard)
                cmd="vistafs__subcmd__command__subcmd__guard"
                ;;
            vistafs,config)
                cmd="vistafs__subcmd__config"
                ;;
            vistafs,detach)
                cmd="vistafs__subcmd__detach"
                ;;
            vistafs,docker-args)
                cmd="vistafs__subcmd__docker__subcmd__args"
                ;;
            vistafs,doctor)
                cmd="vistafs__subcmd__doctor"
                ;;
            vistafs,hold)
                cmd="vistafs__subcmd__hold"
                ;;
            vistafs,lxc-hook)
                cmd="vistafs__subcmd__lxc__subcmd__hook"
                ;;
            vistafs,lxcfs)
                cmd="vistafs__subcmd__lxcfs"
                ;;
            vistafs,mount)
                cmd="vistafs__subcmd__mount"
                ;;
            vistafs,nri)
                cmd="vistafs__subcmd__nri"
                ;;
            vistafs,oci-hook)
                cmd="vistafs__subcmd__oci__subcmd__hook"
                ;;
            vistafs,oci-runtime)
                cmd="vistafs__subcmd__oci__subcmd__runtime"
                ;;
            vistafs,reload)
                cmd="vistafs__subcmd__reload"
                ;;
            vistafs,repair)
                cmd="vistafs__subcmd__repair"
                ;;
            vistafs,repair-worker)
                cmd="vistafs__subcmd__repair__subcmd__worker"
                ;;
            vistafs,run)
                cmd="vistafs__subcmd__run"
                ;;
            vistafs,run-init)
                cmd="vistafs__subcmd__run__subcmd__init"
                ;;
            vistafs,show)
                cmd="vistafs__subcmd__show"
                ;;
            vistafs,status)
                cmd="vistafs__subcmd__status"
                ;;
            vistafs,try-plugin)
                cmd="vistafs__subcmd__try__subcmd__plugin"
                ;;
            vistafs,unmount)
                cmd="vistafs__subcmd__unmount"
                ;;
            vistafs,upgrade)
                cmd="vistafs__subcmd__upgrade"
                ;;
            vistafs,views)
                cmd="vistafs__subcmd__views"
                ;;
            vistafs,worker)
                cmd="vistafs__subcmd__worker"
                ;;
            vistafs__subcmd__cdi,generate)
                cmd="vistafs__subcmd__cdi__subcmd__generate"
                ;;
            vistafs__subcmd__config,check)
                cmd="vistafs__subcmd__config__subcmd__check"
                ;;
            vistafs__subcmd__config,example)
                cmd="vistafs__subcmd__config__subcmd__example"
                ;;
            vistafs__subcmd__config,show)
                cmd="vistafs__subcmd__config__subcmd__show"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        vistafs)
            opts="-v -h -V --config --verbose --as-lxcfs --help --version mount lxcfs unmount reload upgrade run show views config doctor status repair attach detach docker-args cdi oci-hook oci-runtime nri lxc-hook command-guard try-plugin run-init hold worker repair-worker attach-worker"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__attach)
            opts="-v -h --mount --pid --cgroup --all --only --dry-run --json --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --mount)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --pid)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cgroup)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --only)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__attach__subcmd__worker)
            opts="-v -h --mount --detach --dry-run --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --mount)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__cdi)
            opts="-v -h --config --verbose --as-lxcfs --help generate"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__cdi__subcmd__generate)
            opts="-v -h --mount --output --hook --no-hooks --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --mount)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --output)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hook)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__command__subcmd__guard)
            opts="-v -h --user --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__config)
            opts="-v -h --config --verbose --as-lxcfs --help check show example"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__config__subcmd__check)
            opts="-v -h --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__config__subcmd__example)
            opts="-v -h --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__config__subcmd__show)
            opts="-v -h --json --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__detach)
            opts="-v -h --mount --pid --cgroup --all --only --dry-run --json --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --mount)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --pid)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cgroup)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --only)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__docker__subcmd__args)
            opts="-v -h --mount --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --mount)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__doctor)
            opts="-v -h --json --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__hold)
            opts="-v -h --mount --stay --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --mount)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__lxc__subcmd__hook)
            opts="-v -h --mount --page-cache --only --required --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --mount)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --page-cache)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --only)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__lxcfs)
            opts="-v --config --verbose --as-lxcfs"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__mount)
            opts="-v -h --stored --handover --mkdir --no-repair --page-cache --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__nri)
            opts="-v -h --mount --socket --name --index --hook --no-hooks --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --mount)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --socket)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --index)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hook)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__oci__subcmd__hook)
            opts="-v -h --mount --page-cache --only --required --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --mount)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --page-cache)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --only)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__oci__subcmd__runtime)
            opts="-v --config --verbose --as-lxcfs"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__reload)
            opts="-v -h --mount --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --mount)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__repair)
            opts="-v -h --mount --pid --dry-run --json --at-start --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --mount)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --pid)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__repair__subcmd__worker)
            opts="-v -h --mount --dry-run --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --mount)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__run)
            opts="-v -h --memory --memory-swap --cpus --cpuset --name --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --memory)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --memory-swap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cpus)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cpuset)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__run__subcmd__init)
            opts="-v -h --view --parent --name --open-files --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --view)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --parent)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --open-files)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__show)
            opts="-v -h --pid --cgroup --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --pid)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cgroup)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__status)
            opts="-v -h --mount --json --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --mount)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__try__subcmd__plugin)
            opts="-v -h --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__unmount)
            opts="-v -h --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__upgrade)
            opts="-v -h --mount --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --mount)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__views)
            opts="-v -h --json --restore --mount --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --restore)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mount)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        vistafs__subcmd__worker)
            opts="-v -h --page-cache --device --link --handover --config --verbose --as-lxcfs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --device)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --link)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --handover)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as-lxcfs)
                    COMPREPLY=($(compgen -W "plain cfs loadavg psi-poll cgroup no-swap no-zswap strict" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _vistafs -o nosort -o bashdefault -o default vistafs
else
    complete -F _vistafs -o bashdefault -o default vistafs
fi
