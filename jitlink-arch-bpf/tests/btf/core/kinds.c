#define SEC(name) __attribute__((section(name), used))
#define CORE __attribute__((preserve_access_index))
typedef unsigned long long u64; typedef unsigned int u32; typedef int pid_t;
struct list_head { struct list_head *next, *prev; } CORE;
struct nsproxy___x { int count; } CORE;
struct mm_struct { u64 total_vm; } CORE;
struct task_struct { int pid; pid_t tgid; struct mm_struct *mm; char comm[16]; struct task_struct *group_leader; unsigned in_execve : 1; int not_there; } CORE;
struct task_struct___other { int nothing_like_it; struct { int exit_code; }; } CORE;
struct sk_buff { unsigned len; union { struct { unsigned char pkt_type : 3; }; }; } CORE;
struct no_such_struct { int a; } CORE;
enum bpf_map_type { BPF_MAP_TYPE_HASH = 100, BPF_MAP_TYPE_NONE_SUCH = 77 };
enum pid_type { PIDTYPE_MAX___k = 9 };
struct trace_entry { short type; } CORE;
struct trace_event_raw_sys_enter { struct trace_entry ent; long id; unsigned long args[6]; } CORE;
struct bpf_raw_tracepoint_args { u64 args[0]; } CORE;
#define field_info(f, k) __builtin_preserve_field_info(f, k)
static int (*probe_read)(void *, u32, const void *) = (void *)113;
static u64 (*get_task)(void) = (void *)35;
u64 out[64];
SEC("raw_tp/sys_enter") int fields(struct bpf_raw_tracepoint_args *ctx) {
    struct task_struct *t = (void *)get_task();
    struct task_struct___other *o = (void *)t;
    struct sk_buff *s = (void *)t;
    struct no_such_struct *n = (void *)t;
    out[0] = field_info(t->pid, 0); out[1] = field_info(t->tgid, 0); out[2] = field_info(t->comm[3], 0);
    out[3] = field_info(t->comm, 1); out[4] = field_info(t->not_there, 2); out[5] = field_info(t->pid, 2);
    out[6] = field_info(t->pid, 3); out[7] = field_info(t->in_execve, 4); out[8] = field_info(t->in_execve, 5);
    out[9] = field_info(t->in_execve, 0); out[10] = field_info(t->in_execve, 1); out[11] = field_info(s->pkt_type, 4);
    out[12] = field_info(s->pkt_type, 5); out[13] = field_info(s->pkt_type, 3); out[14] = field_info(o->exit_code, 0);
    out[15] = field_info(o->nothing_like_it, 2); out[16] = field_info(n->a, 2); out[17] = field_info(t->in_execve, 3);
    if (field_info(t->not_there, 2)) out[18] = field_info(t->not_there, 0);
    if (field_info(n->a, 2)) out[19] = field_info(n->a, 1);
    return 0;
}
SEC("raw_tp/sys_enter") int types(struct bpf_raw_tracepoint_args *ctx) {
    out[20] = __builtin_btf_type_id(*(struct task_struct *)0, 0); out[21] = __builtin_btf_type_id(*(struct task_struct *)0, 1);
    out[22] = __builtin_preserve_type_info(*(struct sk_buff *)0, 0); out[23] = __builtin_preserve_type_info(*(struct sk_buff *)0, 1);
    out[24] = __builtin_preserve_type_info(*(struct no_such_struct *)0, 0); out[25] = __builtin_preserve_type_info(*(struct no_such_struct *)0, 1);
    out[26] = __builtin_preserve_type_info(*(struct mm_struct *)0, 2); out[27] = __builtin_preserve_type_info(*(struct list_head *)0, 2);
    out[28] = __builtin_preserve_enum_value(*(enum bpf_map_type *)BPF_MAP_TYPE_HASH, 1);
    out[29] = __builtin_preserve_enum_value(*(enum bpf_map_type *)BPF_MAP_TYPE_HASH, 0);
    out[30] = __builtin_preserve_enum_value(*(enum bpf_map_type *)BPF_MAP_TYPE_NONE_SUCH, 0);
    out[31] = __builtin_preserve_enum_value(*(enum pid_type *)PIDTYPE_MAX___k, 1);
    out[32] = __builtin_btf_type_id(*(struct no_such_struct *)0, 1);
    out[33] = __builtin_preserve_type_info(*(pid_t *)0, 0);
    out[34] = __builtin_preserve_type_info(*(pid_t *)0, 2);
    if (__builtin_preserve_enum_value(*(enum bpf_map_type *)BPF_MAP_TYPE_NONE_SUCH, 0)) out[35] = __builtin_preserve_enum_value(*(enum bpf_map_type *)BPF_MAP_TYPE_NONE_SUCH, 1);
    return 0;
}
SEC("tp_btf/sys_enter") int direct(u64 *ctx) {
    struct task_struct *t = (void *)get_task();
    out[40] = (u64)probe_read(&out[41], 4, &t->group_leader);
    out[42] = ctx[0];
    return 0;
}
SEC("tp/syscalls/sys_enter_open") int tracepoint(struct trace_event_raw_sys_enter *ctx) {
    out[43] = ctx->args[2]; out[44] = ctx->id; 
    return 0;
}
char _license[] SEC("license") = "GPL";
