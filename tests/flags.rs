//! `KROTON_FLAGS` as a program meets it. The variable is read once, so each case is a process of its own: this test
//! binary again, which runs nothing but [`reports_what_it_compiled`].

use std::process::Command;

use kroton::{Compiler, Device, OptLevel, Stage, compile, vector};

/// What the process prints, to either end, that runs with these flags.
fn with_flags(flags: &str) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "reports_what_it_compiled", "--ignored", "--nocapture"]);
    let output = command.env("KROTON_FLAGS", flags).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{flags}: {text}");
    text
}

#[test]
#[ignore = "the other tests run it, in processes with flags"]
fn reports_what_it_compiled() {
    let x = vector::<f32>("x");
    let y = (1.0 + &x).ln();
    let optimized = |compiler: Compiler| compiler.compile([&x], &y)?.dump(Stage::Optimized);
    match compile([&x], &y) {
        Ok(f) => {
            println!("machine code: {}", f.dump(Stage::Clif).is_ok());
            println!("shaders: {}", f.dump(Stage::Wgsl).is_ok());
            println!("loops: {}", f.dump(Stage::Loops).is_ok());
            println!("log1p: {}", f.dump(Stage::Optimized).unwrap().contains("= log1p"));
            println!("profiled: {}", f.profile().is_ok());
            println!("ln of -2: {:?}", f.call::<Vec<f32>>((&[-2.0_f32],)).map_err(|error| error.to_string()));
            println!("result: {:?}", f.call::<Vec<f32>>((&[0.0_f32],)).unwrap());
        }
        Err(error) => println!("{error}"),
    }
    let on_the_cpu = Compiler::new().device(Device::Cpu).compile([&x], &y);
    println!("machine code of Device::Cpu: {}", on_the_cpu.is_ok_and(|f| f.dump(Stage::Clif).is_ok()));
    let full = optimized(Compiler::new().optimize(OptLevel::Full));
    println!("log1p of OptLevel::Full: {}", full.is_ok_and(|text| text.contains("= log1p")));
}

#[track_caller]
fn says(flags: &str, lines: &[&str]) {
    let text = with_flags(flags);
    for line in lines {
        assert!(text.contains(line), "KROTON_FLAGS={flags} does not say {line:?}:\n{text}");
    }
}

#[test]
fn flags_are_the_defaults() {
    says("", &["machine code: true", "log1p: true", "result: [0.0]"]);
    says("device=loops", &["machine code: false", "loops: true", "result: [0.0]"]);
    says("device=interpreter", &["machine code: false", "loops: false", "result: [0.0]"]);
    says("threads=1,optimize=none", &["machine code: true", "log1p: false"]);
    says("exclude=log1p", &["log1p: false", "log1p of OptLevel::Full: false"]);
}

#[test]
fn profiles_checks_and_dumps_are_turned_on() {
    says("", &["profiled: false", "ln of -2: Ok([NaN])"]);
    says("profile=true", &["profiled: true"]);
    says(
        "check=nan",
        &["ln of -2: Err(\"the check of `function`: `log1p` gives NaN at index [0] from -2.0", "result: [0.0]"],
    );
    says("check=differential", &["ln of -2: Ok([NaN])", "result: [0.0]"]);
    says("dump=graph+clif", &["=== function(x: f32[?]) -> (f32[?]): Graph\nkroton 1\n", ": Clif\n", "v0"]);
    assert!(!with_flags("dump=graph").contains(": Clif"));
    assert!(!with_flags("").contains("kroton 1"));
    // What a device does not have is not printed.
    says("device=loops,dump=all", &["=== Graph\nkroton 1", "=== Loops\n", "result: [0.0]"]);
}

#[test]
fn code_wins_over_flags() {
    says("device=interpreter,optimize=none", &["machine code of Device::Cpu: true", "log1p of OptLevel::Full: true"]);
}

#[test]
fn a_mistake_is_an_error_of_compile() {
    says("devise=gpu", &["KROTON_FLAGS: there is no key \"devise\"; the keys are device, threads, parallel_threshold"]);
    says("device=cuda", &["device=\"cuda\": expected cpu, interpreter, loops, gpu, auto, or gpu:…"]);
    says("device=cuda", &["machine code of Device::Cpu: false"]);
    says("threads=0", &["threads(0): a function runs on 1 to 1024 threads"]);
    says("exclude=no such rule", &["no such rule"]);
}

#[cfg(feature = "gpu")]
#[test]
fn flags_choose_the_gpu() {
    let none = "machine code: false";
    match kroton::backend::gpu::testing::device() {
        None => {
            says("device=gpu", &["no GPU adapter found"]);
            says("device=auto", &["machine code: true", "result: [0.0]"]);
        }
        Some(gpu) => {
            let name = gpu.adapter().name().split([' ', ',']).next().unwrap().to_uppercase();
            says("device=gpu", &[none, "shaders: true"]);
            says("device=gpu:0", &[none, "shaders: true"]);
            says(&format!("device=gpu:{name}"), &[none, "shaders: true"]);
            says("device=gpu:99", &["no GPU adapter at index 99; there are:", gpu.adapter().name()]);
            says("device=gpu:no such", &["no GPU adapter with a name that contains `no such`"]);
            says("device=auto", &[none, "shaders: true"]);
            says("device=auto:99", &["machine code: true"]);
        }
    }
}

#[cfg(not(feature = "gpu"))]
#[test]
fn a_build_without_the_gpu_engine_says_so() {
    says("device=gpu", &["this build of Kroton has no GPU engine; enable the crate's feature `gpu`"]);
    says("device=auto", &["machine code: true", "result: [0.0]"]);
}
