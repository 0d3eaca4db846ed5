//! `KROTON_FLAGS`: the defaults of a whole program, from its environment.
//!
//! The variable is read once, by the first compilation; every later one sees the same flags, or the same error. Flags
//! only fill in what the program's own code leaves open, except that names to exclude add up.

use std::sync::OnceLock;

use crate::error::{Error, Result};
use crate::expr::settings::{Check, Device, OptLevel};
use crate::runtime::Stage;

/// The name of the variable.
const VARIABLE: &str = "KROTON_FLAGS";

/// A key, with the values that it takes as errors list them.
struct Key {
    name: &'static str,
    values: &'static str,
    read: fn(&mut Flags, &str) -> Option<()>,
}

/// All keys.
const KEYS: [Key; 8] = [
    Key {
        name: "device",
        values: "cpu, interpreter, loops, gpu, auto, or gpu:… or auto:… with the index of a GPU or a part of its name",
        read: device,
    },
    Key { name: "threads", values: "a number of threads", read: |flags, text| number(&mut flags.threads, text) },
    Key {
        name: "parallel_threshold",
        values: "a number of elements",
        read: |flags, text| number(&mut flags.parallel_threshold, text),
    },
    Key { name: "optimize", values: "none, full or fast", read: optimize },
    Key { name: "profile", values: "true or false", read: |flags, text| truth(&mut flags.profile, text) },
    Key { name: "check", values: "none, nan or differential", read: check },
    Key {
        name: "dump",
        values: "graph, optimized, schedule, loops, clif, asm, wgsl or all, joined by `+`",
        read: dump,
    },
    Key { name: "exclude", values: "names of rules or passes, joined by `+`", read: exclude },
];

/// What the environment says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// What runs functions.
    pub device: Option<Device>,
    /// Which GPU: an index or a part of its name.
    pub adapter: Option<String>,
    /// How many threads a call may use.
    pub threads: Option<usize>,
    /// From how many elements on a kernel is run in parallel.
    pub parallel_threshold: Option<usize>,
    /// How far to optimize.
    pub level: Option<OptLevel>,
    /// Rules and passes to leave out.
    pub exclude: Vec<String>,
    /// Stages to print when something is compiled.
    pub dump: Vec<Stage>,
    /// What to check of calls.
    pub check: Option<Check>,
    /// Whether to count what calls cost.
    pub profile: Option<bool>,
}

impl Flags {
    /// The flags of this process.
    ///
    /// # Errors
    /// `Argument` for a text that is not flags.
    pub fn of_process() -> Result<&'static Flags> {
        static FLAGS: OnceLock<Result<Flags>> = OnceLock::new();
        let read = || match std::env::var_os(VARIABLE) {
            None => Ok(Flags::default()),
            Some(text) => {
                let text = text.to_str().ok_or_else(|| wrong("it is not UTF-8".to_string()))?;
                Flags::parse(text)
            }
        };
        FLAGS.get_or_init(read).as_ref().map_err(Error::clone)
    }

    /// Reads `key=value,key=value`; of a key that is there twice, the last value counts.
    fn parse(text: &str) -> Result<Flags> {
        let mut flags = Flags::default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            let (name, value) = (name.trim(), value.trim());
            let Some(key) = KEYS.iter().find(|key| key.name == name) else {
                let known = KEYS.map(|key| key.name).join(", ");
                return Err(wrong(format!("there is no key {name:?}; the keys are {known}")));
            };
            (key.read)(&mut flags, value).ok_or_else(|| wrong(format!("{name}={value:?}: expected {}", key.values)))?;
        }
        Ok(flags)
    }
}

fn wrong(what: String) -> Error {
    Error::Argument(format!("the environment variable {VARIABLE}: {what}"))
}

fn device(flags: &mut Flags, text: &str) -> Option<()> {
    let (kind, adapter) = text.split_once(':').map_or((text, None), |(kind, adapter)| (kind, Some(adapter.trim())));
    let device = match kind {
        "cpu" => Device::Cpu,
        "interpreter" => Device::Interpreter,
        "loops" => Device::Loops,
        "gpu" => Device::Gpu,
        "auto" => Device::Auto,
        _ => return None,
    };
    let on_gpu = matches!(device, Device::Gpu | Device::Auto);
    if adapter.is_some_and(|adapter| !on_gpu || adapter.is_empty()) {
        return None;
    }
    flags.device = Some(device);
    flags.adapter = adapter.map(str::to_string);
    Some(())
}

fn number(place: &mut Option<usize>, text: &str) -> Option<()> {
    *place = Some(text.parse().ok()?);
    Some(())
}

fn truth(place: &mut Option<bool>, text: &str) -> Option<()> {
    *place = Some(text.parse().ok()?);
    Some(())
}

fn optimize(flags: &mut Flags, text: &str) -> Option<()> {
    flags.level = Some(match text {
        "none" => OptLevel::None,
        "full" => OptLevel::Full,
        "fast" => OptLevel::Fast,
        _ => return None,
    });
    Some(())
}

fn check(flags: &mut Flags, text: &str) -> Option<()> {
    flags.check = Some(match text {
        "none" => Check::None,
        "nan" => Check::Nan,
        "differential" => Check::Differential,
        _ => return None,
    });
    Some(())
}

fn dump(flags: &mut Flags, text: &str) -> Option<()> {
    let stage = |name: &str| match name.trim() {
        "all" => Some(Stage::All),
        name => Stage::EACH.into_iter().find(|stage| format!("{stage:?}").eq_ignore_ascii_case(name)),
    };
    flags.dump = text.split('+').map(stage).collect::<Option<_>>()?;
    Some(())
}

fn exclude(flags: &mut Flags, text: &str) -> Option<()> {
    let names = text.split('+').map(|name| Some(name.trim().to_string()).filter(|name| !name.is_empty()));
    flags.exclude = names.collect::<Option<_>>()?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Flags::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn every_key_is_read() {
        let all = "device=auto: llvmpipe ,threads=2, parallel_threshold=10,optimize=fast,profile=true,check=nan,dump=graph+Asm,exclude=log1p+power 2,";
        let expected = Flags {
            device: Some(Device::Auto),
            adapter: Some("llvmpipe".to_string()),
            threads: Some(2),
            parallel_threshold: Some(10),
            level: Some(OptLevel::Fast),
            exclude: vec!["log1p".to_string(), "power 2".to_string()],
            profile: Some(true),
            check: Some(Check::Nan),
            dump: vec![Stage::Graph, Stage::Asm],
        };
        assert_eq!(Flags::parse(all).unwrap(), expected);
        assert_eq!(Flags::parse("").unwrap(), Flags::default());
    }

    #[test]
    fn devices_have_the_names_of_the_documentation() {
        let device = |text: &str| Flags::parse(&format!("device={text}")).unwrap();
        let plain = [Device::Cpu, Device::Interpreter, Device::Loops, Device::Gpu, Device::Auto];
        for (name, expected) in ["cpu", "interpreter", "loops", "gpu", "auto"].into_iter().zip(plain) {
            assert_eq!((device(name).device, device(name).adapter), (Some(expected), None));
        }
        assert_eq!(device("gpu:1").adapter.as_deref(), Some("1"));
        // The last one counts as a whole.
        assert_eq!(Flags::parse("device=gpu:1,device=cpu").unwrap().adapter, None);
    }

    #[test]
    fn unknown_keys_and_values_are_told_the_known_ones() {
        let text = refused("devise=gpu");
        assert!(text.contains("KROTON_FLAGS: there is no key \"devise\"; the keys are device, threads, "), "{text}");
        assert!(refused("threads").contains("threads=\"\": expected a number of threads"));
        assert!(refused("optimize=more").contains("expected none, full or fast"));
        for wrong in [
            "device=cuda",
            "device=cpu:0",
            "device=gpu:",
            "threads=-1",
            "parallel_threshold=1e6",
            "exclude=a++b",
            "profile=yes",
            "check=inf",
            "dump=grph",
            "dump=",
        ] {
            assert!(refused(wrong).contains(": expected "), "{wrong}");
        }
    }
}
