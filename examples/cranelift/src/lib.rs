//! Functions made by Cranelift, linked in the program that made them.
//!
//! [`compile`] is the compiler: it declares what it defines and what it needs, builds the functions, and returns an object file in
//! memory. [`run`] links it with an object that a C compiler made, and calls the result.

use cranelift::codegen::ir::UserFuncName;
use cranelift::module::{Linkage, Module as _, default_libcall_names};
use cranelift::object::{ObjectBuilder, ObjectModule};
use cranelift::prelude::{
    AbiParam, Configurable, FunctionBuilder, FunctionBuilderContext, InstBuilder, IntCC, Signature, isa, settings,
    types,
};
use jitlink::{Input, LinkOptions, Session};
use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

static SEEN: AtomicI64 = AtomicI64::new(0);

/// What compiled code knows as `void seen(int)`.
extern "C" fn seen(value: i32) {
    SEEN.fetch_add(value.into(), Ordering::Relaxed);
}

/// The machine that this program runs on, with position-independent code, as all that is loaded at an unknown address needs.
fn host() -> Result<Arc<dyn isa::TargetIsa>, Box<dyn Error>> {
    let mut flags = settings::builder();
    flags.set("is_pic", "true")?;
    flags.set("opt_level", "speed")?;
    let host = cranelift::native::builder()?;
    Ok(host.finish(settings::Flags::new(flags))?)
}

/// An object file that defines `int sum_to(int n)`, which is `n + … + 1`, and needs `add` and `seen`:
///
/// ```c
/// int sum_to(int n) { seen(n); return n == 0 ? 0 : add(n, sum_to(n - 1)); }
/// ```
pub fn compile() -> Result<Vec<u8>, Box<dyn Error>> {
    let builder = ObjectBuilder::new(host()?, "sum_to.o", default_libcall_names())?;
    let mut object = ObjectModule::new(builder);
    let signature = |parameters: usize, results: usize| {
        let mut signature: Signature = object.make_signature();
        signature.params = vec![AbiParam::new(types::I32); parameters];
        signature.returns = vec![AbiParam::new(types::I32); results];
        signature
    };
    let (unary, binary, notice) = (signature(1, 1), signature(2, 1), signature(1, 0));
    let sum_to = object.declare_function("sum_to", Linkage::Export, &unary)?;
    let add = object.declare_function("add", Linkage::Import, &binary)?;
    let seen = object.declare_function("seen", Linkage::Import, &notice)?;

    let frontend = object.isa().frontend_config();
    let mut context = object.make_context();
    context.func.signature = unary;
    context.func.name = UserFuncName::user(0, sum_to.as_u32());
    let [own, add, seen] = [sum_to, add, seen].map(|callee| object.declare_func_in_func(callee, &mut context.func));
    let mut memory = FunctionBuilderContext::new();
    let mut code = FunctionBuilder::new(&mut context.func, &mut memory);
    let [entry, done, more] = [(); 3].map(|()| code.create_block());
    code.append_block_params_for_function_params(entry);

    code.switch_to_block(entry);
    let n = code.block_params(entry)[0];
    code.ins().call(seen, &[n]);
    let is_zero = code.ins().icmp_imm_s(IntCC::Equal, n, 0);
    code.ins().brif(is_zero, done, &[], more, &[]);

    code.switch_to_block(done);
    let zero = code.ins().iconst(types::I32, 0);
    code.ins().return_(&[zero]);

    code.switch_to_block(more);
    let less = code.ins().iadd_imm_s(n, -1);
    let rest = code.ins().call(own, &[less]);
    let rest = code.inst_results(rest)[0];
    let total = code.ins().call(add, &[n, rest]);
    let total = code.inst_results(total)[0];
    code.ins().return_(&[total]);

    code.seal_all_blocks();
    code.finalize(frontend);
    object.define_function(sum_to, &mut context)?;
    Ok(object.finish().emit()?)
}

/// Compiles, links and calls, with output going to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let session = Session::in_process()?;
    session.define("seen", seen as extern "C" fn(i32))?;
    let made = Input::from_bytes("sum_to.o", compile()?);
    // What gcc made of `int add(int left, int right) { return left + right; }`.
    let add_o = Input::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../jitlink/tests/fixtures/add.o"))?;
    let module = session.link(&[made, add_o], &LinkOptions::default())?;

    // SAFETY: `compile` gave the function this type, and declares `seen` with its own.
    let sum_to = unsafe { module.function::<extern "C" fn(i32) -> i32>("sum_to") }?;
    writeln!(out, "the sum to 100 is {}", sum_to.call(100))?;
    writeln!(out, "this program saw {}", SEEN.load(Ordering::Relaxed))?;
    Ok(())
}
