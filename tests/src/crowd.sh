# Starts $0 processes that do nothing until standard input ends; then all of them end. A fork without
# an exec that waits for the end of a pipe: there is nothing smaller.
exec 3<&0
i=0
while [ $i -lt "$0" ]; do
    (read _ <&3) &
    i=$((i + 1))
done
echo all are there
read _ <&3
wait
