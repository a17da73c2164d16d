/* What sysconf(3) of the C library that this is compiled with tells: configured, online. */
#include <stdio.h>
#include <unistd.h>

int main(void) {
    printf("%ld %ld\n", sysconf(_SC_NPROCESSORS_CONF), sysconf(_SC_NPROCESSORS_ONLN));
    return 0;
}
