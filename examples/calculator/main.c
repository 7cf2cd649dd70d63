// Calculates each argument, or each line of standard input where there are none.
//
//   cc -O2 -c *.c && jitlink run main.o lexer.o parser.o eval.o -l m -- 'f(x) = x^2 + 1' 'f(3)'
#include "calculator.h"

#include <stdio.h>
#include <stdlib.h>

static size_t failures;

__attribute__((destructor)) static void report(void) {
    forget_definitions();
    fprintf(stderr, "%zu tokens, %zu nodes, %zu calls, %zu errors\n", tokens_read, nodes_made, calls_made, failures);
}

static void calculate(const char *text) {
    struct line line = {.start = text, .at = text};
    struct node *volatile tree = NULL;
    int kept = 0;
    if (setjmp(line.failed)) {
        failures++;
        printf("%s\n", line.message);
    } else if ((tree = parse(&line))) {
        double value = evaluate(&line, tree, &kept);
        if (!kept)
            printf("%.10g\n", value);
    }
    if (!kept)
        free_tree(tree);
}

int main(int argc, char **argv) {
    char text[512];
    for (int index = 1; index < argc; index++)
        calculate(argv[index]);
    while (argc == 1 && fgets(text, sizeof text, stdin))
        calculate(text);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
