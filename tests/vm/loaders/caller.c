/* A process that calls functions of the C library, and ends or stays. */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct addrinfo *found = NULL;

	for (int i = 0; i < 10; i++)
		free(malloc(100));
	if (!getaddrinfo("localhost", "80", NULL, &found))
		freeaddrinfo(found);
	while (argc > 1 && !strcmp(argv[1], "--stay"))
		pause();
	return 3;
}
