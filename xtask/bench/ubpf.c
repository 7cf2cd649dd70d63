/* Runs bare instructions in the interpreter of uBPF, as a side of the benchmark: `ubpf CODE MEMORY REPEAT`. The program gets
 * the address and the length of the memory. Printed is what it returned at first, and the nanoseconds of a run. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <ubpf.h>

static unsigned char *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	if (!file || fseek(file, 0, SEEK_END)) {
		perror(path);
		exit(1);
	}
	long end = ftell(file);
	rewind(file);
	unsigned char *bytes = end > 0 ? malloc(end) : NULL;
	if (!bytes || fread(bytes, 1, end, file) != (size_t)end) {
		fprintf(stderr, "%s cannot be read\n", path);
		exit(1);
	}
	fclose(file);
	*size = end;
	return bytes;
}

static uint64_t run(const struct ubpf_vm *vm, void *memory, size_t size)
{
	uint64_t result;
	if (ubpf_exec(vm, memory, size, &result)) {
		fprintf(stderr, "the program failed\n");
		exit(1);
	}
	return result;
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int count, char **words)
{
	if (count != 4) {
		fprintf(stderr, "usage: ubpf CODE MEMORY REPEAT\n");
		return 1;
	}
	size_t code_size, size;
	unsigned char *code = read_file(words[1], &code_size), *memory = read_file(words[2], &size);
	long repeat = atol(words[3]);
	struct ubpf_vm *vm = ubpf_create();
	char *error = NULL;
	if (!vm || ubpf_load(vm, code, code_size, &error)) {
		fprintf(stderr, "%s\n", error ? error : "there is no machine");
		return 1;
	}
	uint64_t result = run(vm, memory, size);
	double start = now();
	for (long i = 0; i < repeat; i++)
		run(vm, memory, size);
	printf("{\"r0\": \"0x%" PRIx64 "\", \"ns_per_run\": %.1f}\n", result, (now() - start) / repeat);
	return 0;
}
