/* An agent CLI that reads its prompt to the end and answers at once: argv[1] bytes of text, "ok" without it.
   argv[2] seconds are slept first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static char buffer[65536];
    unsigned seed = (unsigned)getpid();
    long size = argc > 1 ? atol(argv[1]) : 0;

    while (read(0, buffer, sizeof buffer) > 0)
        ;
    if (argc > 2)
        usleep((useconds_t)(atof(argv[2]) * 1e6));
    if (size <= 0)
        return write(1, "ok", 2) != 2;
    /* words of a small vocabulary: about as compressible as prose */
    char *text = malloc((size_t)size + 16);
    long at = 0;
    while (at < size) {
        seed = seed * 1103515245u + 12345u;
        at += sprintf(text + at, "w%u ", (seed >> 8) % 5000u);
    }
    fwrite(text, 1, (size_t)size, stdout);
    return fflush(stdout);
}
