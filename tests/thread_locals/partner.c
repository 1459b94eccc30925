/* Uses the libraries of tests/thread_locals: linked with them (-DLINKED), or loaded after it has started. */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef LINKED
extern long bump(void), bump_fast(void);
extern char *wide_address(void), *nothing_address(void);
extern __thread long count;
#else
#include <dlfcn.h>
static long (*bump)(void), (*bump_fast)(void);
static char *(*wide_address)(void), *(*nothing_address)(void);
static void *library;
#endif

static void say(const char *text) { if (write(1, text, strlen(text)) < 0) abort(); }

static void want(int holds, const char *what)
{
    if (!holds) { say(what); say("\n"); _exit(1); }
}

/* What every thread finds, whenever it was made. */
static void check(void)
{
    char zeros[4096] = {0};
    want(bump() == 101, "the first bump");
    want(bump() == 102, "the second bump");
    want((size_t)wide_address() % 64 == 0, "alignment");
    want(*(long *)wide_address() == 7, "the first value");
    want(memcmp(nothing_address(), zeros, sizeof zeros) == 0, "zeros");
    memset(nothing_address(), 0xff, sizeof zeros);
#ifdef LINKED
    want(count == 102, "the exported variable");
    count = 110;
    want(bump() == 111, "the exported variable, written");
#else
    want(*(long *)dlsym(library, "count") == 102, "the exported variable");
#endif
#ifndef LINKED
    if (!bump_fast) return;
#endif
    want(bump_fast() == 201 && bump_fast() == 202, "the variable in static room");
}

static sem_t loaded, started;
static void *thread(void *unused)
{
    sem_post(&started);
    sem_wait(&loaded);
    check();
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t early, late;
    (void)argc;
    (void)argv;
    say("main\n");
    sem_init(&loaded, 0, 0);
    sem_init(&started, 0, 0);
    want(pthread_create(&early, NULL, thread, NULL) == 0, "a thread");
    sem_wait(&started);
#ifndef LINKED
    library = dlopen(argv[1], RTLD_NOW);
    if (!library) { say(dlerror()); say("\n"); return 1; }
    bump = (long (*)(void))dlsym(library, "bump");
    wide_address = (char *(*)(void))dlsym(library, "wide_address");
    nothing_address = (char *(*)(void))dlsym(library, "nothing_address");
    if (argc > 2) {
        void *fast = dlopen(argv[2], RTLD_NOW);
        if (!fast) { say(dlerror()); say("\n"); return 1; }
        bump_fast = (long (*)(void))dlsym(fast, "bump_fast");
    }
#endif
    check();
    sem_post(&loaded);
    pthread_join(early, NULL);
    want(pthread_create(&late, NULL, thread, NULL) == 0, "a thread");
    sem_post(&loaded);
    pthread_join(late, NULL);
    say("every thread has its own\n");
    return 42;
}
