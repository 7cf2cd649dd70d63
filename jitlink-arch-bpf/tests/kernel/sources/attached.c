// Programs that the kernel attaches to its own functions, which some machines forbid.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

long calls;

SEC("fentry/do_unlinkat") int BPF_PROG(enters) {
    calls++;
    return 0;
}

SEC("fexit/do_unlinkat") int BPF_PROG(leaves) {
    return calls--;
}

SEC("lsm.s/file_open") int BPF_PROG(opens, void *file, int result) {
    return result;
}

char LICENSE[] SEC("license") = "GPL";
