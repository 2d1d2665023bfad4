//! From the kernel's words to a [`Reason`].
//!
//! One table of patterns covers kernel/bpf/{verifier,btf,bpf_lsm,…}.c of
//! Linux 5.10, 6.1, 6.12 and 7.2; what only one of them says is there beside
//! what all say. `*` stands for any text. The first pattern that fits a line
//! counts, so narrow ones stand before wide ones; and of several lines, the
//! first that fits anything, because the kernel names the cause before it
//! adds details.

use super::Reason::{self, *};

/// The reason that one line of the kernel's text gives, if it gives one.
pub fn reason_of_line(line: &str) -> Option<Reason> {
    let line = line.trim();
    if line.is_empty() {
        return None;
    }
    let patterns = DECISIVE.iter().chain(PATTERNS);
    patterns.into_iter().find(|(pattern, _)| fits(pattern, line)).map(|&(_, reason)| reason)
}

/// The reason that the lines of an error give, with the line that gave it.
pub fn reason_of<'t>(
    lines: impl IntoIterator<Item = &'t str, IntoIter: Clone>,
) -> Option<(Reason, &'t str)> {
    let lines = lines.into_iter();
    for line in lines.clone() {
        if let Some(&(_, reason)) = DECISIVE.iter().find(|(pattern, _)| fits(pattern, line.trim()))
        {
            return Some((reason, line));
        }
    }
    let mut vague = None;
    for line in lines {
        match reason_of_line(line) {
            // An address that is out of bounds is said in two lines, and the
            // wide one comes first on some kernels.
            Some(reason @ (UnboundedAccess | VerifierBug)) if vague.is_none() => {
                vague = Some((reason, line));
            }
            Some(reason) => return Some((reason, line)),
            None => {}
        }
    }
    vague
}

/// Whether `text` has the form `pattern`, in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    // `split` gives at least one piece.
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = None;
    for piece in pieces {
        if let Some(piece) = last.replace(piece) {
            match rest.find(piece) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
    }
    match last {
        Some(piece) => rest.ends_with(piece),
        None => rest.is_empty(),
    }
}

/// What decides wherever it stands: the lines before it are details of it.
const DECISIVE: &[(&str, Reason)] = &[
    // The call follows, which is not what is wrong (from 6.8 on).
    ("Global function * doesn't return scalar*", SubprogramArgument),
    ("Caller passes invalid args into func#*", SubprogramArgument),
    ("failed to resolve CO-RE relocation*", CoreRelocation),
    ("*memory, len pair leads to invalid memory access", MemoryOutOfBounds),
    // Older kernels first note what they think of the arguments (seen on 6.1).
    ("BPF program is too large. Processed *", TooComplex),
];

/// Narrow before wide.
const PATTERNS: &[(&str, Reason)] = &[
    // libbpf writes these into the log in place of what it could not resolve.
    ("*<invalid CO-RE relocation>*", CoreRelocation),
    ("invalid func unknown#195896080*", CoreRelocation),
    ("BPF map '*' is referenced but wasn't created*", MapNotCreated),
    ("*<missing BPF map '*", MapNotCreated),
    ("kfunc '*' is referenced but wasn't resolved*", UnknownKfunc),
    ("*<missing kfunc '*", UnknownKfunc),
    ("relo #*: bad type id*", BtfRejected),
    ("target candidate search failed for *", CoreRelocation),
    // The verifier's own faults, before all that they quote.
    ("*verifier internal error*", VerifierBug),
    ("*verifier bug*", VerifierBug),
    ("*Verifier bug*", VerifierBug),
    ("verifier BUG*", VerifierBug),
    ("BUG *", VerifierBug),
    ("BUG: *", VerifierBug),
    ("bug: *", VerifierBug),
    ("*bpf verifier *misconfigured*", VerifierBug),
    ("kernel subsystem misconfigured*", VerifierBug),
    ("kern ctx type id * is not a struct", VerifierBug),
    ("*non-overwritten BPF_PTR_POISON*", VerifierBug),
    ("REG INVARIANTS VIOLATION*", VerifierBug),
    ("*internal bug*", VerifierBug),
    ("map type * is misconfigured", VerifierBug),
    ("* is malformed", VerifierBug),
    ("Please fix kernel include/linux/bpf_types.h", VerifierBug),
    ("allocated_stack too small", VerifierBug),
    ("failed to push state for *", VerifierBug),
    ("failed to mark s32 range *", VerifierBug),
    ("Failed to acquire lock state", VerifierBug),
    ("invalid kernel function call not eliminated*", VerifierBug),
    ("adding tail call poke descriptor failed", VerifierBug),
    ("tracking tail call prog failed", VerifierBug),
    ("failed to retrieve map value address", VerifierBug),
    ("unexpected __bpf_trap() due to uninitialized variable?", UninitializedRegister),
    // Null.
    ("*invalid mem access '*or_null*'", MapValueMaybeNull),
    ("*pointer arithmetic on *or_null*", MapValueMaybeNull),
    ("*pointer arithmetic on * prohibited, null-check it first", MapValueMaybeNull),
    ("Possibly NULL pointer passed to *", MapValueMaybeNull),
    ("*type=*or_null* expected=*", MapValueMaybeNull),
    ("calling kernel function * is not allowed", KfuncNotAllowed),
    // Dynptrs, iterators, callbacks: before `invalid access` and `arg#`.
    ("*dynptr*", DynptrMisuse),
    ("CONST_PTR_TO_DYNPTR cannot be released", DynptrMisuse),
    ("*expected *valid iter pointer as *", IteratorMisuse),
    ("*expected *initialized iter_*", IteratorMisuse),
    ("*expected pointer to an iterator on stack", IteratorMisuse),
    ("expected an RCU CS when using *", CriticalSection),
    ("css_task_iter is only allowed in *", KfuncNotAllowed),
    // Packets.
    ("invalid access to packet*", PacketOutOfBounds),
    ("*offset is outside of the packet", PacketOutOfBounds),
    ("cannot write into packet", ReadOnlyMemory),
    ("*is a packet pointer, but func#* may change packet data", StalePacketPointer),
    ("the prog does not allow writes to packet data", ReadOnlyMemory),
    ("helper access to the packet is not allowed", HelperNotAllowed),
    // Context.
    ("invalid bpf_context access off=*. Reference may already be released", UseAfterRelease),
    ("invalid bpf_context access*", InvalidContextAccess),
    ("invalid access to context, ctx_size=*", InvalidContextAccess),
    ("func '*' offset * is not multiple of 8", InvalidContextAccess),
    ("func '*' doesn't have *-th argument", InvalidContextAccess),
    ("func '*' arg* has type *. Only pointer access is allowed", InvalidContextAccess),
    ("func '*' size * must be 8", InvalidContextAccess),
    ("invalid btf_id for context argument offset *", InvalidContextAccess),
    ("func '*' arg* type * is not a struct", InvalidContextAccess),
    ("func '*' arg* has btf_id *", InvalidContextAccess),
    ("func '*' arg* type * has multiple type tags", InvalidContextAccess),
    ("ret type * not allowed for fmod_ret", AttachTarget),
    ("dereference of modified *", ModifiedPointer),
    ("variable * access var_off=* disallowed", ModifiedPointer),
    ("variable ctx access *", ModifiedPointer),
    ("negative offset * ptr * off=* disallowed", ModifiedPointer),
    ("*must have zero offset when passed to release func*", ModifiedPointer),
    ("*is a pointer to in-kernel struct with non-zero offset", ModifiedPointer),
    ("cannot pass in * at an offset*", ModifiedPointer),
    ("* pointer offset * is not allowed", PointerArithmetic),
    // Map values, stack, other memory.
    ("invalid access to map value pointer, *", MapValueOutOfBounds),
    ("invalid access to map value, *", MapValueOutOfBounds),
    ("direct value offset of * is not allowed", MapValueOutOfBounds),
    ("invalid access to map key, *", MemoryOutOfBounds),
    ("invalid access to memory, *", MemoryOutOfBounds),
    ("invalid access to flow keys *", MemoryOutOfBounds),
    ("*invalid variable offset to flow keys*", MemoryOutOfBounds),
    ("*invalid * access off=* size=*", MemoryOutOfBounds),
    ("*invalid * buffer access: off=*", MemoryOutOfBounds),
    ("*invalid negative * buffer offset*", MemoryOutOfBounds),
    ("*invalid variable buffer offset*", MemoryOutOfBounds),
    ("*memory size * is too large", MemoryOutOfBounds),
    ("Invalid read of * bytes from insn_array", MemoryOutOfBounds),
    ("invalid unbounded variable-offset* stack *", UnboundedAccess),
    ("invalid*indirect read from stack*", UninitializedStack),
    ("invalid* read from stack arg off *", UninitializedRegister),
    ("invalid* read from stack *", UninitializedStack),
    ("reading from stack *, slot poisoned by dead code elimination", UninitializedStack),
    ("invalid variable-offset* stack *", StackOutOfBounds),
    ("spilled ptr in range of var-offset stack write*", PermissionDenied),
    ("invalid* stack R* off=*", StackOutOfBounds),
    ("invalid* stack * off=*", StackOutOfBounds),
    ("invalid stack type R*", StackOutOfBounds),
    ("variable offset stack pointer cannot be passed into helper*", StackOutOfBounds),
    ("*stack pointer arithmetic goes out of range, prohibited for !root*", PermissionDenied),
    ("*prohibited for !root*", PermissionDenied),
    ("*unbounded memory access, *", UnboundedAccess),
    ("*unbounded size, use *", UnboundedAccess),
    ("*min value is negative, *", UnboundedAccess),
    ("*invalid zero-sized read*", UnboundedAccess),
    ("*min value is outside of the allowed memory range", UnboundedAccess),
    ("*max value is outside of the allowed memory range", UnboundedAccess),
    ("*rdonly/rdwr_buf_size exceeds u32 max", UnboundedAccess),
    ("the sum of * is too big", UnboundedAccess),
    ("misaligned *", MisalignedAccess),
    // Uninitialised.
    ("R* !read_ok", UninitializedRegister),
    ("callee expects * args, stack arg* is not initialized", UninitializedRegister),
    // Writes where reading alone is allowed, and the reverse.
    ("frame pointer is read only", ReadOnlyMemory),
    ("*cannot write into *", ReadOnlyMemory),
    ("write into map forbidden*", ReadOnlyMemory),
    ("read from map forbidden*", ReadOnlyMemory),
    ("write to change key * not allowed", ReadOnlyMemory),
    ("*may write into memory pointed by *", ReadOnlyMemory),
    ("only read from * is supported", KernelStructAccess),
    ("only read is supported", KernelStructAccess),
    ("Writes through BTF pointers are not allowed", KernelStructAccess),
    ("*does not point to a readonly map*", WrongArgument),
    // Pointers that are numbers, and numbers that are pointers.
    ("*invalid mem access 'user_*", UserMemory),
    ("*access user memory: off=*", UserMemory),
    ("*invalid mem access '*ptr_*", KernelStructAccess),
    ("*invalid mem access '*", NotAPointer),
    ("*access percpu memory: off=*", KernelStructAccess),
    ("*is ptr_* invalid *", KernelStructAccess),
    ("*is * invalid negative access: off=*", KernelStructAccess),
    ("access beyond struct *", KernelStructAccess),
    ("access beyond the end of member *", KernelStructAccess),
    ("cannot access ptr member *", KernelStructAccess),
    ("field * doesn't have size", KernelStructAccess),
    ("struct * doesn't have field at offset *", KernelStructAccess),
    ("direct access to * is disallowed", KernelStructAccess),
    ("Type '*' is not a struct", KernelStructAccess),
    ("type '*' has multiple type tags", KernelStructAccess),
    ("*signature member has multiple type tags", KernelStructAccess),
    ("max struct nesting depth exceeded", KernelStructAccess),
    ("Cannot access kernel 'struct *' from non-GPL compatible program", LicenseRequired),
    ("*access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN", PermissionDenied),
    ("map_ptr access not supported *", KernelStructAccess),
    // What leaves the program.
    ("*leaks addr *", PointerLeak),
    ("leaking pointer from stack *", PointerLeak),
    ("*pointer comparison prohibited", PointerLeak),
    ("attempt to corrupt spilled pointer on stack", PointerLeak),
    ("invalid size of register spill", PointerLeak),
    ("invalid size of register fill", PointerLeak),
    ("cannot spill pointers to stack into stack frame of the caller", PointerLeak),
    ("cannot return stack pointer to the caller", PointerLeak),
    ("*partial copy of pointer", PointerLeak),
    ("*sign-extension part of pointer", PointerLeak),
    ("same insn cannot be used with different pointers", PointerArithmetic),
    ("*could not be pushed for speculative verification*", PermissionDenied),
    ("*tried to * beyond pointer bounds, *", PermissionDenied),
    ("*tried to * from different maps, paths or scalars, *", PermissionDenied),
    ("*tried to * from different maps, paths, or scalars, *", PermissionDenied),
    ("*has unknown scalar with mixed signed bounds, *", PermissionDenied),
    ("*has pointer with unsupported alu operation, *", PermissionDenied),
    ("*tried to subtract pointer from scalar", PointerArithmetic),
    ("*subtraction from stack pointer prohibited", PointerArithmetic),
    ("*pointer arithmetic *prohibited*", PointerArithmetic),
    ("*bitwise operator * on pointer prohibited", PointerArithmetic),
    ("*pointer * pointer prohibited", PointerArithmetic),
    (
        "math between * pointer and register with unbounded min value is not allowed",
        UnboundedAccess,
    ),
    ("math between * pointer and * is not allowed", PointerArithmetic),
    ("value * makes * pointer be out of bounds", PointerArithmetic),
    ("R* is not a pointer", PointerArithmetic),
    ("register R* doesn't point to any offset in map id=*", ControlFlow),
    ("R* points to outside of jump table*", ControlFlow),
    ("R* has type *, expected PTR_TO_INSN", ControlFlow),
    // Too much.
    ("back-edge from insn *", UnboundedLoop),
    ("infinite loop detected at insn *", UnboundedLoop),
    ("*bpf_loop iteration limit reached", TooComplex),
    ("*: too many iterations", TooComplex),
    ("The sequence of * jumps is too complex*", TooComplex),
    ("liveness analysis exceeded complexity limit*", TooComplex),
    ("combined stack size of * Too large", StackOverflow),
    ("stack size of subprog * Too large", StackOverflow),
    ("stack size * is too large", StackOverflow),
    ("stack depth * exceeds interpreter stack depth limit", StackOverflow),
    ("tail_calls are not allowed when call stack of previous frames is * Too large", StackOverflow),
    ("the call stack of * frames is too deep*", CallDepth),
    ("recursive call from *", CallDepth),
    ("too many subprograms", LimitExceeded),
    ("too many different module BTFs", LimitExceeded),
    ("too many different kernel function calls", LimitExceeded),
    ("The total number of maps per program has reached *", LimitExceeded),
    ("The total number of btfs per program has reached *", LimitExceeded),
    ("only one cgroup storage of each type is allowed", LimitExceeded),
    ("fd_array_cnt is too big*", LimitExceeded),
    ("function name * is too long", LimitExceeded),
    ("insn * cannot be patched due to 16-bit range", LimitExceeded),
    ("*has unrecognized type", SubprogramArgument),
    // Helpers.
    ("cannot call GPL-restricted function from non-GPL compatible program", GplOnlyHelper),
    ("cannot call kernel function from non-GPL compatible program", LicenseRequired),
    ("*must have a GPL compatible license", LicenseRequired),
    ("invalid func *#*", UnknownHelper),
    ("unknown func *#*", HelperNotAllowed),
    ("program of this type cannot use helper *", HelperNotAllowed),
    ("func *#* not supported for program type *", HelperNotAllowed),
    ("func *#* supported only for *", HelperNotAllowed),
    ("helper call is not allowed in probe", HelperNotAllowed),
    ("cannot update sockmap in this context", HelperNotAllowed),
    ("get_local_storage() doesn't support non-zero flags", WrongArgument),
    ("cannot pass map_type * into func *", WrongMapType),
    ("invalid arg_type for sockmap/sockhash", WrongMapType),
    ("invalid map_ptr to access map->*", WrongMapType),
    ("expected prog array map for tail call", WrongMapType),
    ("callback function not allowed for map", WrongMapType),
    ("no direct value access support for this map type", WrongMapType),
    ("Invalid format string", FormatString),
    ("*is not zero-terminated", FormatString),
    ("direct value access on string failed", FormatString),
    ("*doesn't point to a const string", FormatString),
    ("*cannot be used as const string", FormatString),
    // Sleeping, and sections in which one must not.
    ("helper call might sleep in a non-sleepable prog", SleepableMisuse),
    ("program must be sleepable to call sleepable kfunc *", SleepableMisuse),
    ("kernel function * is sleepable but the program is not", SleepableMisuse),
    ("sleepable helper * in *", SleepableMisuse),
    ("sleepable global function * called in *", SleepableMisuse),
    ("kernel func * is sleepable within *", SleepableMisuse),
    ("* is not sleepable", SleepableMisuse),
    ("*can only be sleepable", SleepableMisuse),
    ("*programs can be sleepable", SleepableMisuse),
    ("*cannot be sleepable", SleepableMisuse),
    ("Extension program may sleep, while original does not", ExtensionMismatch),
    ("Sleepable program cannot attach to *", SleepableMisuse),
    ("Sleepable programs can only use *", MapNotAllowed),
    // References, locks, sections.
    ("Unreleased reference *", UnreleasedReference),
    ("Leaking reference *", UnreleasedReference),
    ("*would lead to reference leak*", UnreleasedReference),
    ("BPF_LD_[ABS|IND] cannot be mixed with socket references", UnreleasedReference),
    ("reference has not been acquired before", InvalidRelease),
    ("*reference has not been acquired before", InvalidRelease),
    ("*is an unacquired reference", InvalidRelease),
    ("*must be referenced*when passed to release function", InvalidRelease),
    ("R* must be referenced", InvalidRelease),
    ("*must be referenced or trusted", WrongArgument),
    ("*must be a rcu pointer", WrongArgument),
    ("release * expects referenced PTR_TO_BTF_ID passed to *", InvalidRelease),
    ("release kernel function * expects refcounted PTR_TO_BTF_ID", InvalidRelease),
    ("acquire kernel function does not return PTR_TO_BTF_ID", VerifierBug),
    ("bpf_spin_unlock is missing", LockMisuse),
    ("bpf_rcu_read_unlock is missing", CriticalSection),
    ("*cannot be used inside bpf_spin_lock-ed region", LockMisuse),
    ("*_lock-ed region", CriticalSection),
    ("*cannot be used inside bpf_*-ed region", CriticalSection),
    ("*cannot be used inside *-ed region", CriticalSection),
    ("Locking two bpf_spin_locks are not allowed", LockMisuse),
    ("Acquiring the same lock again*", LockMisuse),
    ("*_unlock cannot be out of order", LockMisuse),
    ("*_unlock of different lock", LockMisuse),
    ("*_unlock without taking a lock", LockMisuse),
    ("*while holding a lock*", LockMisuse),
    ("held lock and object are not in the same allocation", LockMisuse),
    ("bpf_spin_lock at off=* must be held for *", LockMisuse),
    ("can't *spin_{lock,unlock} in rbtree cb", LockMisuse),
    ("*bpf_spin_lock has to be at the constant offset", LockMisuse),
    ("*_lock has to be at the constant offset", LockMisuse),
    ("*has no valid *_lock", LockMisuse),
    ("* has to have BTF in order to use bpf_spin_lock", LockMisuse),
    ("* has to have BTF in order to use *_lock", LockMisuse),
    ("*doesn't have 'struct bpf_spin_lock'*", LockMisuse),
    ("*has more than one 'struct bpf_spin_lock'", LockMisuse),
    ("*is not a struct type or bpf_spin_lock is mangled", LockMisuse),
    ("off * doesn't point to 'struct bpf_*lock'*", LockMisuse),
    ("bpf_spin_lock cannot be accessed directly by load/store", LockMisuse),
    ("*progs cannot use bpf_spin_lock yet", MapNotAllowed),
    ("function calls are not allowed while holding a lock", LockMisuse),
    ("global function calls are not allowed with preemption disabled*", CriticalSection),
    ("use static function instead", CriticalSection),
    ("*rcu read lock*", CriticalSection),
    ("*rcu read unlock*", CriticalSection),
    ("Calling bpf_rcu_read_{lock,unlock} in unnecessary rbtree callback", CriticalSection),
    ("*requires RCU critical section protection", CriticalSection),
    ("unmatched attempt to enable preemption *", CriticalSection),
    ("* bpf_preempt_enable* missing", CriticalSection),
    ("*irq flag*", CriticalSection),
    ("cannot restore irq state out of order*", CriticalSection),
    ("*cannot be used in tracing programs on types with NMI unsafe fields", SpecialField),
    // Collections and allocated objects.
    ("*rbtree_remove *", CollectionMisuse),
    ("*not allowed in rbtree cb", CollectionMisuse),
    ("*non-owning*", CollectionMisuse),
    ("*owning ref*", CollectionMisuse),
    ("*bpf_obj_*", CollectionMisuse),
    ("*bpf_percpu_obj_*", CollectionMisuse),
    ("*allocated object*", CollectionMisuse),
    ("*bpf_refcount field", CollectionMisuse),
    ("*{bpf_list_head,bpf_rb_root}*", CollectionMisuse),
    ("*bpf_{list_head,rb_root}*", MapNotAllowed),
    ("operation on * expects arg#1 * at offset=*", CollectionMisuse),
    ("arg#1 offset=*, but expected * at offset=*", CollectionMisuse),
    ("* not found at offset=*", CollectionMisuse),
    ("*{list,rbtree}*", CollectionMisuse),
    ("local type ID argument must be in range *", CollectionMisuse),
    ("kfunc bpf_rdonly_cast type ID argument must be *", WrongArgument),
    ("Unknown type ID * passed to kfunc *", WrongArgument),
    // Special fields of map values.
    ("*bpf_timer*", SpecialField),
    ("timer pointer in *", SpecialField),
    ("workqueue pointer in *", SpecialField),
    ("*bpf_task_work*", SpecialField),
    ("*bpf_wq*", SpecialField),
    ("off * doesn't point to 'struct *", SpecialField),
    ("*has no valid kptr", KptrMisuse),
    ("*kptr*", KptrMisuse),
    ("*uptr*", KptrMisuse),
    ("* has to have BTF in order to use *", SpecialField),
    ("map '*' has no valid *", SpecialField),
    ("*has to be at *constant offset", SpecialField),
    ("*cannot be accessed directly by load/store", SpecialField),
    ("*cannot be accessed indirectly by helper", SpecialField),
    ("*access cannot have variable offset", SpecialField),
    ("*access misaligned expected=* off=*", SpecialField),
    ("*access size must be BPF_DW", SpecialField),
    // Callbacks and exceptions.
    ("*exception*", ExceptionMisuse),
    ("*bpf_throw*", ExceptionMisuse),
    ("*callback*", CallbackMisuse),
    ("*expected pointer to func", CallbackMisuse),
    ("cannot tail call within callback", TailCallMisuse),
    // Tail calls.
    ("*tail_call*", TailCallMisuse),
    ("program with __ref argument cannot tail call", TailCallMisuse),
    // Old packet loads.
    ("*BPF_LD_[ABS|IND] uses reserved fields", InvalidInstruction),
    ("*BPF_LD_[ABS|IND]*", LegacyPacketAccess),
    ("*BPF_LD_ABS|IND*", LegacyPacketAccess),
    ("*LD_ABS *", LegacyPacketAccess),
    // Return values.
    ("*should have been in *", ReturnValue),
    ("*At * the register R* *", ReturnValue),
    ("In async callback the register R0 is not a known value*", ReturnValue),
    ("*the register * is not a known value*", ReturnValue),
    ("*the register * has*", ReturnValue),
    ("*can't modify return value!", ReturnValue),
    ("R0 not a scalar value", ReturnValue),
    // The shape of the program.
    ("unreachable insn *", UnreachableCode),
    ("jump out of range from insn *", ControlFlow),
    ("indirect jump out of range from insn *", ControlFlow),
    ("jump into the middle of ldimm64 insn *", ControlFlow),
    ("jump table for insn *", ControlFlow),
    ("no jump tables found for *", ControlFlow),
    ("Failed to properly initialize insn array", ControlFlow),
    ("last insn is not an exit or jmp", ControlFlow),
    ("call to invalid destination", ControlFlow),
    ("invalid insn idx *", ControlFlow),
    ("*uses reserved fields", InvalidInstruction),
    ("reserved field *", InvalidInstruction),
    ("invalid may_goto *", InvalidInstruction),
    ("invalid BPF_* opcode *", InvalidInstruction),
    ("invalid BPF_LD_IMM insn", InvalidInstruction),
    ("invalid BPF_LD mode", InvalidInstruction),
    ("invalid bpf_ld_imm64 insn", InvalidInstruction),
    ("unrecognized bpf_ld_imm64 insn", InvalidInstruction),
    ("Unknown conditional jump *", InvalidInstruction),
    ("unknown opcode *", InvalidInstruction),
    ("unknown insn class *", InvalidInstruction),
    ("div by zero", InvalidInstruction),
    ("invalid shift *", InvalidInstruction),
    ("R* is invalid", InvalidInstruction),
    ("r11 load must be before any r11 store or call insn", InvalidInstruction),
    ("BPF_ST imm must be 0 *", InvalidInstruction),
    // Atomics and arenas.
    ("invalid atomic operand size", AtomicMisuse),
    ("BPF_ATOMIC *", AtomicMisuse),
    ("BPF_XADD stores into *", AtomicMisuse),
    ("BPF_ST stores into *", ReadOnlyMemory),
    ("64-bit load-acquires *", AtomicMisuse),
    ("64-bit store-releases *", AtomicMisuse),
    ("*arena*", ArenaMisuse),
    ("addr_space_cast insn *", ArenaMisuse),
    // Maps.
    ("*preallocated hash map*", MapNotAllowed),
    ("tracing progs cannot use *", MapNotAllowed),
    ("socket filter progs cannot use *", MapNotAllowed),
    ("*device mismatch*", MapNotAllowed),
    ("bpf_struct_ops map cannot be used in prog", MapNotAllowed),
    ("program's hash doesn't match map's excl_prog_hash", MapNotAllowed),
    ("fd * is not pointing to valid bpf_map*", MapNotCreated),
    ("fd_idx without fd_array is invalid", BtfRejected),
    // Kernel functions.
    ("calling kernel function is not supported without *", MissingBtf),
    ("destructive kfunc calls require *", PermissionDenied),
    ("metadata kfuncs *", KfuncNotAllowed),
    ("JIT does not support *", NotSupported),
    ("JIT doesn't support *", NotSupported),
    ("JIT is required *", NotSupported),
    ("*requires BPF JIT compiler*", NotSupported),
    ("Private stack not supported by jit", NotSupported),
    ("stack args are not supported in non-JITed programs", NotSupported),
    ("calling kernel functions are not allowed in non-JITed programs", NotSupported),
    ("failed to find BTF for kernel function", UnknownKfunc),
    ("kernel btf_id * is not a function", UnknownKfunc),
    ("invalid kernel function btf_id *", UnknownKfunc),
    ("kernel function btf_id * does not have a valid func_proto", UnknownKfunc),
    ("cannot find address for kernel function *", UnknownKfunc),
    ("address of kernel func* is out of range", UnknownKfunc),
    ("cannot find function * in BTF", UnknownKfunc),
    ("kfunc offset > 0 without fd_array is invalid", UnknownKfunc),
    ("invalid module BTF *", UnknownKfunc),
    ("BTF fd for kfunc is not a module BTF", UnknownKfunc),
    ("negative offset disallowed for kernel module function call", UnknownKfunc),
    ("kfunc * has inconsistent KF_IMPLICIT_ARGS", VerifierBug),
    ("2 or more rdonly/rdwr_buf_size parameters for kfunc", VerifierBug),
    ("kernel function * returns pointer type *", KfuncNotAllowed),
    ("kernel function * unhandled dynamic return type", VerifierBug),
    ("*prog->aux cannot be a stack argument", KfuncNotAllowed),
    ("kernel supports at most * parameters, function *", SubprogramArgument),
    ("kernel function * expected pointer to *", WrongArgument),
    ("kernel function * pointer type * is not supported", WrongArgument),
    // Attaching.
    ("*Attaching *rejected.", AttachTarget),
    ("attach_btf_id * points to disabled hook *", AttachTarget),
    ("attach_btf_id * is not a supported struct", StructOpsMember),
    ("attach_btf_id *", AttachTarget),
    ("attach to * member *", StructOpsMember),
    ("struct_ops module * is not found", StructOpsMember),
    ("Attach to function * is not supported for this attach type", AttachTarget),
    ("The address of function * cannot be found", AttachTarget),
    ("Cannot find btf of tracepoint template*", AttachTarget),
    ("* is not modifiable", AttachTarget),
    ("can't modify return codes of BPF programs", AttachTarget),
    ("Tracing programs must provide btf_id", MissingBtf),
    ("*annotated with BTF", ExtensionMismatch),
    ("The function * arguments. Too many.", AttachTarget),
    ("The function * return type * is unsupported.", AttachTarget),
    ("The function * is unsupported.", AttachTarget),
    ("The function * has malformed void argument.", AttachTarget),
    ("Subprog * doesn't exist", ExtensionMismatch),
    ("Cannot replace *", ExtensionMismatch),
    ("Cannot extend *", ExtensionMismatch),
    ("Cannot recursively attach", ExtensionMismatch),
    ("Cannot nest tracing program attach*", ExtensionMismatch),
    ("Can attach to only JITed progs", ExtensionMismatch),
    ("Extension program*", ExtensionMismatch),
    ("Only FENTRY/FEXIT* progs are attachable to another BPF prog", ExtensionMismatch),
    ("Target program bound device mismatch", ExtensionMismatch),
    ("freplace programs with *", ExtensionMismatch),
    ("Program extension requires BTF", ExtensionMismatch),
    ("* is not a global function", ExtensionMismatch),
    ("*() has * args while *", ExtensionMismatch),
    ("Return type * doesn't match type *", ExtensionMismatch),
    ("arg* in * is * while * has *", ExtensionMismatch),
    ("arg* in * has size * while * has *", ExtensionMismatch),
    ("arg* in * is not a pointer to context", ExtensionMismatch),
    ("arg* doesn't match *", ExtensionMismatch),
    // BTF of the program.
    ("Global functions need valid BTF", MissingBtf),
    ("missing btf func_info", MissingBtf),
    ("kernel is missing BTF*", MissingBtf),
    ("missing bpf_line_info for *", BtfRejected),
    ("invalid func info rec size *", BtfRejected),
    ("nonzero tailing record in *", BtfRejected),
    ("nonzero insn_off * for the first func info record", BtfRejected),
    ("same or smaller insn offset *", BtfRejected),
    ("invalid type id * in func info", BtfRejected),
    ("number of funcs in func_info doesn't match *", BtfRejected),
    ("func_info BTF section doesn't match *", BtfRejected),
    ("Invalid line_info*", BtfRejected),
    ("Invalid insn code at line_info*", BtfRejected),
    ("Invalid core_relo*", BtfRejected),
    ("invalid btf id for main subprog in func_info", BtfRejected),
    ("BTF of func* doesn't point to KIND_FUNC", BtfRejected),
    ("Invalid type of function *", BtfRejected),
    ("Invalid BTF of func *", BtfRejected),
    ("ldimm64 *", BtfRejected),
    ("pseudo btf_id * in ldimm64 isn't *", BtfRejected),
    ("unable to resolve the size of type *", BtfRejected),
    // Functions of the program, and arguments in general.
    ("Function * has * args", SubprogramArgument),
    ("*lobal function * args*", SubprogramArgument),
    ("Global function *", SubprogramArgument),
    ("func#* writes * stack arg slots*", SubprogramArgument),
    ("stack arg write offset * exceeds *", SubprogramArgument),
    ("Arg#* type * is not supported yet.", SubprogramArgument),
    ("*tag*", SubprogramArgument),
    ("*reference type('*') *", SubprogramArgument),
    ("*is expected to be non-NULL", SubprogramArgument),
    ("*expects pointer to ctx", SubprogramArgument),
    ("R* is not a scalar", SubprogramArgument),
    ("*arg#* type isn't a pointer", SubprogramArgument),
    ("*arg#* type is not a struct", SubprogramArgument),
    ("*arg#* type doesn't have a name", SubprogramArgument),
    ("*arg#* struct doesn't have a name", SubprogramArgument),
    ("*arg#* should be *", SubprogramArgument),
    ("*type=* expected=*", WrongArgument),
    ("*is of type * but * is expected", WrongArgument),
    ("*is not a known constant*", WrongArgument),
    ("*must be a known constant", WrongArgument),
    ("*is not a const", WrongArgument),
    ("*is not a constant address*", WrongArgument),
    ("*is not a scalar", WrongArgument),
    ("*arg#* is *", WrongArgument),
    ("R* must point to kernel BTF", WrongArgument),
    ("pointer in * isn't map pointer", WrongArgument),
    ("invalid map_ptr to access *", WrongMapType),
    ("Helper has invalid btf*", WrongArgument),
    ("*expected pointer to ctx, but got *", WrongArgument),
    ("*expected pointer to *", WrongArgument),
    ("*doesn't point to a map value", WrongArgument),
    ("*doesn't point to *map value*", WrongArgument),
    ("*doesn't point to an irq flag on stack", CriticalSection),
    ("expected * or socket", WrongArgument),
    ("reg type unsupported for arg#*", WrongArgument),
    ("*must point to *scalar, or struct with scalar", WrongArgument),
    ("*pointer type *", WrongArgument),
    ("Unrecognized *arg#* type *", WrongArgument),
    ("Unrecognized * type *", WrongArgument),
    ("arg#* has type *, but only struct or primitive types are allowed", SubprogramArgument),
    ("*unsupported reg type *", WrongArgument),
    ("Unsupported reg type *", WrongArgument),
    ("invalid return type * of func *", VerifierBug),
    ("unknown return type * of func *", VerifierBug),
    // Who loads.
    ("*are allowed for CAP_BPF and CAP_SYS_ADMIN", PermissionDenied),
    ("*CAP_* required*", PermissionDenied),
    // The structured form of Linux 7.3 says the rest in its own words.
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_any_text_between() {
        assert!(fits("*a*b", "xaxb"));
        assert!(fits("a*a", "aa"));
        assert!(!fits("a*a", "a"));
        assert!(fits("ab", "ab"));
        assert!(!fits("ab", "abc"));
        assert!(fits("*b*", "abc"));
        assert!(!fits("a*c*d", "abd"));
        assert!(fits("*", ""));
    }

    #[test]
    fn one_cause_in_the_words_of_several_kernels() {
        let same = [
            "R0 invalid mem access 'map_value_or_null'",
            "R1 type=sock_or_null expected=sock_common, sock, tcp_sock, xdp_sock, ptr_",
            "Possibly NULL pointer passed to helper arg2",
            "R0 pointer arithmetic on map_value_or_null prohibited, null-check it first",
        ];
        for line in same {
            assert_eq!(reason_of_line(line), Some(MapValueMaybeNull), "{line}");
        }
    }

    #[test]
    fn the_wide_line_gives_way_to_the_narrow_one() {
        let lines = [
            "R1 min value is outside of the allowed memory range",
            "invalid access to map value, value_size=8 off=8 size=8",
        ];
        assert_eq!(reason_of(lines).map(|(reason, _)| reason), Some(MapValueOutOfBounds));
        assert_eq!(reason_of(["something else"]), None);
    }

    #[test]
    fn a_limit_outweighs_the_notes_before_it() {
        let lines = [
            "reg type unsupported for arg#0 function endless#7",
            "BPF program is too large. Processed 1000001 insn",
        ];
        assert_eq!(reason_of(lines), Some((TooComplex, lines[1])));
    }

    #[test]
    fn no_pattern_hides_a_later_one_that_is_the_same() {
        for (at, (pattern, _)) in PATTERNS.iter().enumerate() {
            let first = PATTERNS.iter().position(|(known, _)| known == pattern);
            assert_eq!(first, Some(at), "{pattern} is there twice");
        }
    }
}
