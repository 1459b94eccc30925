// What a compiler makes relocations of: calls, constants, variables, tables of addresses, places in the middle of
// something, zeros, jumps by a table, differences. It declares what it uses, so that no system's headers are needed.
int printf(const char *format, ...);

static const char *const names[] = {"zero", "one", "two", "three"};
static int numbers[] = {3, 5, 7, 11, 13};
// Addends: into an array, and before its end.
int *third = &numbers[2];
const int *const last = (const int *)((const char *)numbers + sizeof numbers - sizeof *numbers);
static long zeros[1000];
int shared;
int tentative[4];

__attribute__((noinline)) static int twice(int n) { return 2 * n; }
__attribute__((noinline)) static int thrice(int n) { return 3 * n; }
__attribute__((noinline)) int other(int n) { return n + shared; }
static int (*const functions[])(int) = {twice, thrice, other};

// Dense enough for a table of jumps, and with calls that keep it from becoming a table of values.
__attribute__((noinline)) static int chosen(int which, int n) {
    switch (which) {
    case 0: return twice(n) + 1;
    case 1: return thrice(n) - 1;
    case 2: return other(n) * 2;
    case 3: numbers[0] += n; return numbers[0];
    case 4: shared += n; return other(n);
    case 5: return printf("five: %d\n", n);
    default: return -1;
    }
}

// Bytes, halves, words and vectors: loads whose offsets count in units of what is loaded.
static volatile unsigned char bytes[] = {1, 2, 3, 4, 5, 6, 7};
static volatile unsigned short halves[] = {100, 200, 300};
static volatile unsigned long long words[] = {1ULL << 40, 1ULL << 41};
typedef int vector __attribute__((vector_size(16)));
static volatile vector vectors[] = {{1, 2, 3, 4}, {5, 6, 7, 8}};

__attribute__((noinline)) static int loads(void) {
    vector sum = vectors[0] + vectors[1];
    return bytes[6] + halves[1] + (int)(words[1] >> 41) + sum[0] + sum[3];
}

int begin(void) {
    volatile int four = 4;
    int sum = 0;
    for (int i = 0; i < 3; i++) sum += functions[i](i + 1);
    shared = four;
    tentative[3] = 9;
    zeros[999] = 1;
    printf("%s %s, third %d, last %d, sum %d\n", names[four - 3], names[3], *third, *last, sum);
    printf("%d %d %d %d\n", chosen(0, four), chosen(1, four), chosen(3, four), chosen(4, four));
    printf("loads %d, zeros %d %d, tentative %d\n", loads(), (int)zeros[998], (int)zeros[999], tentative[3]);
    return chosen(four + 1, 1) == 8 && chosen(four + 2, 0) == -1 && other(1) == 9 ? 42 : 1;
}
