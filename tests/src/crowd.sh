# Starts $0 processes that do nothing until standard input ends; then all of them end. A fork without
# an exec that waits for the end of a pipe: there is nothing smaller. By hundreds, each of which has
# a shell that says when they are there: a shell clears its list of children in each new one, which
# would take a copy of the list.
exec 3<&0
left=$0
while [ "$left" -gt 0 ]; do
    (
        i=0
        while [ $i -lt 100 ] && [ $i -lt "$left" ]; do
            (read _ <&3) &
            i=$((i + 1))
        done
        echo
        read _ <&3
        wait
    ) &
    left=$((left - 100))
done
wait
