// A compiler out of LLVM's static libraries: it optimises one function and writes it as assembly for several machines.
// Prints the length of each text, and a sum of its bytes.
#include "llvm/ADT/SmallString.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IRReader/IRReader.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

using namespace llvm;

static const char *const source = R"(
define i64 @sum(ptr %p, i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%j, %loop]
  %s = phi i64 [0, %entry], [%t, %loop]
  %q = getelementptr i64, ptr %p, i64 %i
  %v = load i64, ptr %q
  %t = add i64 %s, %v
  %j = add i64 %i, 1
  %c = icmp ult i64 %j, %n
  br i1 %c, label %loop, label %done
done:
  ret i64 %t
}
)";

static void optimise(Module &module, TargetMachine &machine) {
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager components;
  ModuleAnalysisManager modules;
  PassBuilder passes(&machine);
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(components);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, components, modules);
  passes.buildPerModuleDefaultPipeline(OptimizationLevel::O2).run(module, modules);
}

static bool compile(const char *name) {
  LLVMContext context;
  SMDiagnostic why;
  auto module = parseIR(MemoryBufferRef(source, "sum.ll"), why, context);
  std::string error;
  Triple triple(name);
  const Target *target = TargetRegistry::lookupTarget(triple, error);
  if (!module || !target) {
    errs() << name << ": " << why.getMessage() << error << "\n";
    return false;
  }
  std::unique_ptr<TargetMachine> machine(target->createTargetMachine(triple, "", "", TargetOptions(), Reloc::PIC_));
  module->setTargetTriple(triple);
  module->setDataLayout(machine->createDataLayout());
  optimise(*module, *machine);

  SmallString<0> code;
  raw_svector_ostream out(code);
  legacy::PassManager manager;
  if (machine->addPassesToEmitFile(manager, out, nullptr, CodeGenFileType::AssemblyFile)) return false;
  manager.run(*module);
  uint64_t sum = 5381;
  for (char c : code) sum = sum * 33 + static_cast<unsigned char>(c);
  outs() << name << " " << code.size() << " " << sum << "\n";
  return true;
}

int main() {
  InitializeAllTargetInfos();
  InitializeAllTargets();
  InitializeAllTargetMCs();
  InitializeAllAsmParsers();
  InitializeAllAsmPrinters();
  bool good = true;
  for (const char *name : {"x86_64-linux-gnu", "aarch64-linux-gnu", "riscv64-linux-gnu", "powerpc64le-linux-gnu", "bpfel"})
    good &= compile(name);
  return good ? 0 : 1;
}
