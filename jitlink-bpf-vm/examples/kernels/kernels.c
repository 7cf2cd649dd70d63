typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

/* The internet checksum of the buffer. */
__attribute__((section(".text.checksum"))) u64 checksum(const u8 *memory, u64 length)
{
	u64 sum = 0;
	for (u64 at = 0; at + 2 <= length; at += 2)
		sum += *(const u16 *)(memory + at);
	if (length & 1)
		sum += memory[length - 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (u16)~sum;
}

/* FNV-1a of every 64 bytes, mixed with xor-shift. */
__attribute__((section(".text.hash"))) u64 hash(const u8 *memory, u64 length)
{
	u64 state = 88172645463325252UL;
	for (u64 block = 0; block + 64 <= length; block += 64) {
		u32 fnv = 2166136261U;
#pragma clang loop unroll(disable)
		for (u64 at = 0; at < 64; at++)
			fnv = (fnv ^ memory[block + at]) * 16777619U;
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		state += fnv;
	}
	return state;
}

/* Counts bytes in a table at the start, then sorts the counts. */
__attribute__((section(".text.histogram"))) u64 histogram(u8 *memory, u64 length)
{
	u32 *counts = (u32 *)memory;
	for (u64 value = 0; value < 256; value++)
		counts[value] = 0;
	for (u64 at = 1024; at < length; at++)
		counts[memory[at]]++;
	for (u64 end = 1; end < 256; end++) {
		u32 count = counts[end];
		u64 at = end;
		while (at > 0 && counts[at - 1] > count) {
			counts[at] = counts[at - 1];
			at--;
		}
		counts[at] = count;
	}
	return counts[255] ^ (u64)counts[0] << 32;
}

/* The product of two matrices of 32-bit numbers, the third in the memory. */
__attribute__((section(".text.matrix"))) u64 matrix(u8 *memory, u64 length)
{
	u64 size = 1;
	while ((size + 1) * (size + 1) * 12 <= length)
		size++;
	const u32 *left = (u32 *)memory, *right = left + size * size;
	u32 *product = (u32 *)right + size * size;
	u64 trace = 0;
	for (u64 row = 0; row < size; row++)
		for (u64 column = 0; column < size; column++) {
			u32 sum = 0;
			for (u64 inner = 0; inner < size; inner++)
				sum += left[row * size + inner] * right[inner * size + column];
			product[row * size + column] = sum;
			trace += row == column ? sum : 0;
		}
	return trace;
}
