//! Calls that name their arguments.

use smallvec::SmallVec;

use crate::error::{Error, Result};
use crate::runtime::{Arg, FromOutputs, Function};

impl Function {
    /// Calls the function with arguments by name, in any order, as a feed dictionary does.
    ///
    /// # Errors
    /// `Argument` for a name that no input has, one that comes twice or is missing, and if two inputs have one name; else
    /// as [`call`](Function::call).
    ///
    /// ```
    /// use kroton::{Arg, compile, scalar, vector};
    /// let (x, a) = (vector::<f64>("x"), scalar::<f64>("a"));
    /// let f = compile([&x, &a], &a * &x)?;
    /// let y: Vec<f64> = f.call_named([("a", Arg::from(3.0)), ("x", Arg::from(&[1.0, 2.0]))])?;
    /// assert_eq!(y, [3.0, 6.0]);
    /// let error = f.call_named::<Vec<f64>>([("x", Arg::from(&[1.0]))]).unwrap_err();
    /// assert_eq!(error.to_string(), "`function`: the input \"a\" is missing; its inputs are x, a");
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn call_named<'a, 'n, R: FromOutputs>(
        &self,
        arguments: impl IntoIterator<Item = (&'n str, Arg<'a>)>,
    ) -> Result<R> {
        let mut places: SmallVec<[Option<Arg<'a>>; 8]> = SmallVec::from_elem(None, self.inputs().len());
        for (name, argument) in arguments {
            let mut alike = (0..places.len()).filter(|&index| self.inputs()[index].name == name);
            let index = alike.next().ok_or_else(|| self.misnamed(&format!("there is no input \"{name}\"")))?;
            if alike.next().is_some() {
                return Err(self.ambiguous(name));
            }
            if places[index].replace(argument).is_some() {
                return Err(self.misnamed(&format!("the input \"{name}\" is given twice")));
            }
        }
        let mut ordered: SmallVec<[Arg<'a>; 8]> = SmallVec::new();
        for (index, place) in places.into_iter().enumerate() {
            ordered.push(place.ok_or_else(|| self.missing(index))?);
        }
        self.call(ordered.as_slice())
    }

    #[cold]
    fn missing(&self, index: usize) -> Error {
        let name = &self.inputs()[index].name;
        match self.inputs().iter().filter(|input| input.name == *name).count() {
            1 => self.misnamed(&format!("the input \"{name}\" is missing")),
            _ => self.ambiguous(name),
        }
    }

    #[cold]
    fn ambiguous(&self, name: &str) -> Error {
        self.misnamed(&format!(
            "several inputs have the name \"{name}\", so they cannot be told apart by it: use `call`"
        ))
    }

    #[cold]
    fn misnamed(&self, what: &str) -> Error {
        let names: Vec<&str> = self.inputs().iter().map(|input| input.name.as_str()).collect();
        let known =
            if names.is_empty() { "it has no inputs".into() } else { format!("its inputs are {}", names.join(", ")) };
        Error::Argument(format!("`{}`: {what}; {known}", self.name()))
    }
}
