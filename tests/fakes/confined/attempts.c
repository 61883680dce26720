/* A plugin that makes the attempts of ATTEMPTS, and prints a line for each: its name, and "ok" or
   the number of its error. ATTEMPTS is a file with calls of TRY. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRY(name, call) do { errno = 0; int done = (call); \
    if (done >= 0) printf("%s ok\n", name); else printf("%s %d\n", name, errno); } while (0)

static int opens(const char *path, int flags)
{
    int file = open(path, flags, 0600);
    if (file >= 0) close(file);
    return file;
}

static int reads(const char *path) { return opens(path, O_RDONLY); }
static int writes(const char *path) { return opens(path, O_WRONLY); }
static int creates(const char *path) { return opens(path, O_WRONLY | O_CREAT | O_EXCL); }

static int lists(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL) return -1;
    closedir(directory);
    return 0;
}

static int executes(const char *path, const char *argument)
{
    int ends[2], error = 0, status;
    if (pipe2(ends, O_CLOEXEC) < 0) return -1;
    pid_t child = fork();
    if (child == 0) {
        int nothing = open("/dev/null", O_WRONLY);
        dup2(nothing, 1);
        dup2(nothing, 2);
        execl(path, path, argument, (char *) NULL);
        error = errno;
        if (write(ends[1], &error, sizeof error)) _exit(1);
        _exit(1);
    }
    close(ends[1]);
    if (read(ends[0], &error, sizeof error) <= 0) error = 0;
    close(ends[0]);
    waitpid(child, &status, 0);
    errno = error;
    return error ? -1 : 0;
}

static int attaches(pid_t process)
{
    if (ptrace(PTRACE_ATTACH, process, NULL, NULL) < 0) return -1;
    waitpid(process, NULL, 0);
    return (int) ptrace(PTRACE_DETACH, process, NULL, NULL);
}

static int to_port(int port, int (*use)(int, const struct sockaddr *, socklen_t))
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short) port)};
    int file = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return use(file, (struct sockaddr *) &address, sizeof address);
}

static int to_path(const char *path, int (*use)(int, const struct sockaddr *, socklen_t))
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int file = socket(AF_UNIX, SOCK_STREAM, 0);
    size_t length = strlen(path);
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') address.sun_path[0] = 0;
    return use(file, (struct sockaddr *) &address,
               (socklen_t) (offsetof(struct sockaddr_un, sun_path) + length));
}

int main(int count, char **words)
{
    if (count == 2 && strcmp(words[1], "--version") == 0) return puts("1.2.804.0") < 0;
#include ATTEMPTS
    return 0;
}
