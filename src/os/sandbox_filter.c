// The system call filter: what no build, test or engine needs and what reaches around namespaces or
// into rarely walked parts of the kernel. A short list of refusals, not a list of permissions,
// because a toolchain that we do not know must work. ptrace stays allowed: LeakSanitizer stops its
// own threads with it, and the PID namespace already hides everybody else.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "os/sandbox.h"

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef NATIVE_ARCH

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(k)   BPF_STMT(BPF_RET | BPF_K, (k))
#define REFUSE(number)                                                                             \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), ANSWER(SECCOMP_RET_ERRNO | EPERM)

// Numbers from 424 on are the same on every architecture (the table was unified in Linux 5.1), so
// they are written out where an older kernel's headers may lack the names.
static const struct sock_filter FILTER[] = {
    LOAD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0),
    // Another architecture has other numbers, so it would pass everything below.
    ANSWER(SECCOMP_RET_KILL_PROCESS),
    LOAD(nr),
#if defined(__x86_64__)
    // The x32 interface: the same calls under numbers with bit 30 set.
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
    ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
#endif
    // The kernel's key rings belong to users, not to namespaces: a login session's keys are there.
    REFUSE(SYS_add_key),
    REFUSE(SYS_request_key),
    REFUSE(SYS_keyctl),
    // Files and namespaces.
    REFUSE(SYS_mount),
    REFUSE(SYS_umount2),
    REFUSE(SYS_pivot_root),
    REFUSE(SYS_setns),
    REFUSE(SYS_open_by_handle_at),
    REFUSE(428), // open_tree
    REFUSE(429), // move_mount
    REFUSE(430), // fsopen
    REFUSE(431), // fsconfig
    REFUSE(432), // fsmount
    REFUSE(433), // fspick
    REFUSE(442), // mount_setattr
    // The machine as a whole.
    REFUSE(SYS_reboot),
    REFUSE(SYS_kexec_load),
    REFUSE(SYS_init_module),
    REFUSE(SYS_finit_module),
    REFUSE(SYS_delete_module),
    REFUSE(SYS_swapon),
    REFUSE(SYS_swapoff),
    REFUSE(SYS_syslog),
    REFUSE(SYS_acct),
    REFUSE(SYS_quotactl),
    REFUSE(SYS_settimeofday),
    REFUSE(SYS_clock_settime),
    REFUSE(SYS_clock_adjtime),
    REFUSE(SYS_adjtimex),
    // Where most of the last years' ways out of containers began.
    REFUSE(SYS_bpf),
    REFUSE(SYS_userfaultfd),
    REFUSE(425), // io_uring_setup; libuv and others fall back to epoll and threads
    ANSWER(SECCOMP_RET_ALLOW),
};

Slice sandbox_filter(void)
{
    return (Slice){(const char *)FILTER, sizeof FILTER};
}

#else

// No list of numbers for this architecture: namespaces alone hold then, and docs say so.
Slice sandbox_filter(void)
{
    return (Slice){NULL, 0};
}

#endif
