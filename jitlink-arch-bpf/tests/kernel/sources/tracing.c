// Programs that depend on the kernel: its types, its functions, what it lets programs attach to.
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct task_struct {
    int pid, tgid;
    struct task_struct *real_parent;
    char comm[16];
} __attribute__((preserve_access_index));

struct task_struct___other {
    int no_such_member;
} __attribute__((preserve_access_index));

struct event {
    int pid, parent;
    char comm[16];
};

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 5000);
} events SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, long);
} storage SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
    __uint(key_size, sizeof(int));
    __uint(value_size, sizeof(int));
} samples SEC(".maps");

extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern int no_such_kernel_function(int) __ksym __weak;
extern const void _text __ksym;
extern int LINUX_KERNEL_VERSION __kconfig;

static __noinline void fill(struct event *event, struct task_struct *task) {
    event->pid = BPF_CORE_READ(task, pid);
    event->parent = BPF_CORE_READ(task, real_parent, tgid);
    BPF_CORE_READ_STR_INTO(&event->comm, task, comm);
}

SEC("tp_btf/sched_process_exit") int BPF_PROG(exits, struct task_struct *task) {
    struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
    if (!event)
        return 0;
    bpf_rcu_read_lock();
    fill(event, task);
    bpf_rcu_read_unlock();
    bpf_ringbuf_submit(event, 0);
    return 0;
}

SEC("tp_btf/sched_process_fork") int BPF_PROG(forks, struct task_struct *parent) {
    struct task_struct *task = bpf_get_current_task_btf();
    long *value = bpf_task_storage_get(&storage, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (value)
        *value += LINUX_KERNEL_VERSION;
    return 0;
}

SEC("raw_tp/sys_enter") int enters(void *ctx) {
    struct task_struct___other *other = (void *)bpf_get_current_task();
    int sum = bpf_core_field_exists(other->no_such_member) ? 1 : 2;
    sum += bpf_core_type_size(struct task_struct) > 100;
    // A call would be replaced by one that depends on libbpf's version.
    if (no_such_kernel_function)
        sum += 5;
    bpf_perf_event_output(ctx, &samples, BPF_F_CURRENT_CPU, &sum, sizeof(sum));
    return sum + (long)&_text;
}

SEC("kprobe/do_unlinkat") int unlinks(void *ctx) {
    struct event event = {};
    fill(&event, (void *)bpf_get_current_task());
    return event.pid;
}

SEC("iter/task") int tasks(void *ctx) {
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
