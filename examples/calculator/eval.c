// Trees to numbers.
#include "calculator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEEPEST 2000

size_t calls_made;

struct scope {
    const struct node *function;
    const double *arguments;
};

struct variable {
    struct variable *next;
    char name[32];
    double value;
};

struct function {
    struct function *next;
    struct node *tree;
};

static struct variable *variables;
static struct function *functions;
static int depth;

// The mathematical library's functions by name: a table of pointers into a shared library.
static const struct { const char *name; double (*call)(double); } builtins[] = {
    {"sin", sin}, {"cos", cos}, {"tan", tan}, {"exp", exp}, {"log", log}, {"sqrt", sqrt}, {"floor", floor},
};

static double value_of(struct line *line, const struct node *node, const struct scope *scope);

static double *find_variable(const char *name) {
    for (struct variable *variable = variables; variable; variable = variable->next)
        if (!strcmp(variable->name, name))
            return &variable->value;
    return NULL;
}

static double name(struct line *line, const struct node *node, const struct scope *scope) {
    const double *value = find_variable(node->name);
    if (scope)
        for (size_t index = 0; index < (size_t)scope->function->number; index++)
            if (!strcmp(scope->function->parameters[index], node->name))
                return scope->arguments[index];
    if (!strcmp(node->name, "pi"))
        return acos(-1);
    if (!value)
        fail(line, "%s has no value", node->name);
    return *value;
}

static double call(struct line *line, const struct node *node, const struct scope *scope) {
    double arguments[4], result;
    calls_made++;
    // The one function that does not evaluate all of its arguments.
    if (!strcmp(node->name, "if") && node->count == 3)
        return value_of(line, node->children[value_of(line, node->children[0], scope) != 0 ? 1 : 2], scope);
    for (size_t index = 0; index < node->count; index++)
        arguments[index] = value_of(line, node->children[index], scope);
    for (struct function *function = functions; function; function = function->next) {
        struct scope inner = {function->tree, arguments};
        if (strcmp(function->tree->name, node->name) || (size_t)function->tree->number != node->count)
            continue;
        if (++depth > DEEPEST)
            fail(line, "%s calls itself too often", node->name);
        result = value_of(line, function->tree->children[0], &inner);
        depth--;
        return result;
    }
    for (size_t index = 0; node->count == 1 && index < sizeof builtins / sizeof *builtins; index++)
        if (!strcmp(builtins[index].name, node->name))
            return builtins[index].call(arguments[0]);
    fail(line, "there is no function %s of %d arguments", node->name, (int)node->count);
}

static double value_of(struct line *line, const struct node *node, const struct scope *scope) {
    double left, right;
    switch (node->kind) {
    case N_NUMBER: return node->number;
    case N_NAME: return name(line, node, scope);
    case N_CALL: return call(line, node, scope);
    case N_NEGATE: return -value_of(line, node->children[0], scope);
    default: break;
    }
    left = value_of(line, node->children[0], scope);
    right = value_of(line, node->children[1], scope);
    switch (node->operator) {
    case '+': return left + right;
    case '-': return left - right;
    case '*': return left * right;
    case '/': return right != 0 ? left / right : (fail(line, "division by zero"), 0);
    case '%': return fmod(left, right);
    case '^': return pow(left, right);
    case '<': return left < right;
    default: return left > right;
    }
}

double evaluate(struct line *line, struct node *node, int *kept) {
    double *place, value;
    depth = 0;
    if (node->kind == N_DEFINE) {
        struct function *function = malloc(sizeof *function);
        if (!function)
            fail(line, "there is no memory left");
        function->tree = node;
        function->next = functions;
        functions = function;
        *kept = 1;
        return 0;
    }
    value = value_of(line, node->kind == N_ASSIGN ? node->children[0] : node, NULL);
    if (node->kind == N_ASSIGN) {
        place = find_variable(node->name);
        if (!place) {
            struct variable *variable = calloc(1, sizeof *variable);
            if (!variable)
                fail(line, "there is no memory left");
            strcpy(variable->name, node->name);
            variable->next = variables;
            variables = variable;
            place = &variable->value;
        }
        *place = value;
    }
    return value;
}

void forget_definitions(void) {
    while (functions) {
        struct function *next = functions->next;
        free_tree(functions->tree);
        free(functions);
        functions = next;
    }
    while (variables) {
        struct variable *next = variables->next;
        free(variables);
        variables = next;
    }
}
