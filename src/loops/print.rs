//! The text of a kernel.
//!
//! ```text
//! kernel   := "kernel" NAME "(" axis, … ")"  operands  nest…
//! operands := ("read" | "write" | "index") "o"N ":" dtype   one line, in order
//! nest     := "map" axis, …                                 body indented below
//!           | "reduce" axis, …                              statements, then reductions
//!           | "sequential" axis [carried]                   body
//!           | "while" VALUE [carried]                       "condition" statements, "do" body
//!           | "block"                                       statements
//! reduction:= values "= fold" lifted "from" init "by" left "," right    merge statements, then "yield" values
//!           ["append" left "," right "from position" N      as above]
//! carried  := "(" current "=" initial ", then" next ", last" result ";" … ")"
//! statement:= "v"N ":" dtype "=" operation | "store o"N "," VALUE
//! ```
//!
//! The nesting is shown by two spaces each. Axes are `i j k l m n`, then `a6`, `a7`, … Printing never fails, not
//! even on an invalid kernel, since the verifier prints what it rejects. It knows nothing beyond the loop IR.

use std::fmt::{self, Display, Formatter};

use crate::loops::{
    Access, Axis, Block, Carried, Kernel, Merge, Nest, Operand, OperandId, Operation, Reduction, Statement, ValueId,
};

impl Display for Kernel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "kernel {} (", self.name)?;
        list(f, (0..self.axes).map(Axis))?;
        writeln!(f, ")")?;
        if !self.operands.is_empty() {
            writeln!(f, "  {}", separated("  ", self.operands.iter().enumerate().map(operand)))?;
        }
        nests(f, self, &self.body, 1)
    }
}

impl Display for ValueId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl Display for OperandId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "o{}", self.0)
    }
}

impl Display for Axis {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match ["i", "j", "k", "l", "m", "n"].get(self.0 as usize) {
            Some(letter) => f.write_str(letter),
            None => write!(f, "a{}", self.0),
        }
    }
}

impl Display for Access {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Access::Read => "read",
            Access::Write => "write",
            Access::Index => "index",
        })
    }
}

impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Operation::Constant(value) => write!(f, "constant {value}"),
            Operation::Load(operand) => write!(f, "load {operand}"),
            Operation::Position => f.write_str("position"),
            Operation::Unary(op, x) => write!(f, "{op} {x}"),
            Operation::Binary(op, [a, b]) => write!(f, "{op} {a}, {b}"),
            Operation::Ternary(op, [a, b, c]) => write!(f, "{op} {a}, {b}, {c}"),
            Operation::Cast(dtype, x) => write!(f, "cast {x} to {dtype}"),
        }
    }
}

/// The line of a statement in this kernel.
pub(super) fn statement<'a>(kernel: &'a Kernel, statement: &'a Statement) -> impl Display + 'a {
    fmt::from_fn(move |f| match statement {
        Statement::Let(value, operation) => write!(f, "{} = {operation}", typed(kernel, *value)),
        Statement::Store(operand, value) => write!(f, "store {operand}, {value}"),
    })
}

/// The heading of a nest, as it stands above its body.
pub(super) fn heading(nest: &Nest) -> impl Display + '_ {
    fmt::from_fn(move |f| match nest {
        Nest::Map { axes, .. } => write!(f, "map{}", axis_list(axes)),
        Nest::Reduce { axes, .. } => write!(f, "reduce{}", axis_list(axes)),
        Nest::Sequential { axis, carried, .. } => write!(f, "sequential {axis}{}", carried_list(carried)),
        Nest::While { carried, holds, .. } => write!(f, "while {holds}{}", carried_list(carried)),
        Nest::Block(_) => f.write_str("block"),
    })
}

/// The line of a reduction.
pub(super) fn reduction<'a>(kernel: &'a Kernel, reduction: &'a Reduction) -> impl Display + 'a {
    fmt::from_fn(move |f| {
        list(f, reduction.results.iter().map(|&value| typed(kernel, value)))?;
        f.write_str(" = fold ")?;
        group(f, &reduction.lifted)?;
        f.write_str(" from ")?;
        group(f, &reduction.init)?;
        f.write_str(" by ")?;
        group(f, &reduction.merge.left)?;
        f.write_str(", ")?;
        group(f, &reduction.merge.right)
    })
}

fn nests(f: &mut Formatter<'_>, kernel: &Kernel, body: &[Nest], depth: usize) -> fmt::Result {
    body.iter().try_for_each(|nest| {
        line(f, depth, heading(nest))?;
        match nest {
            Nest::Map { body, .. } | Nest::Sequential { body, .. } => nests(f, kernel, body, depth + 1),
            Nest::Reduce { body, reductions, .. } => {
                block(f, kernel, body, depth + 1)?;
                reductions.iter().try_for_each(|item| fold(f, kernel, item, depth + 1))
            }
            Nest::While { condition, body, .. } => {
                line(f, depth + 1, "condition")?;
                block(f, kernel, condition, depth + 2)?;
                line(f, depth + 1, "do")?;
                nests(f, kernel, body, depth + 2)
            }
            Nest::Block(statements) => block(f, kernel, statements, depth + 1),
        }
    })
}

fn block(f: &mut Formatter<'_>, kernel: &Kernel, block: &Block, depth: usize) -> fmt::Result {
    block.statements.iter().try_for_each(|step| line(f, depth, statement(kernel, step)))
}

fn fold(f: &mut Formatter<'_>, kernel: &Kernel, item: &Reduction, depth: usize) -> fmt::Result {
    line(f, depth, reduction(kernel, item))?;
    merge(f, kernel, &item.merge, depth + 1)?;
    let Some(append) = &item.append else { return Ok(()) };
    line(
        f,
        depth,
        fmt::from_fn(|f| {
            f.write_str("append ")?;
            group(f, &append.merge.left)?;
            f.write_str(", ")?;
            group(f, &append.merge.right)?;
            write!(f, " from position {}", append.position)
        }),
    )?;
    merge(f, kernel, &append.merge, depth + 1)
}

fn merge(f: &mut Formatter<'_>, kernel: &Kernel, merge: &Merge, depth: usize) -> fmt::Result {
    block(f, kernel, &merge.block, depth)?;
    line(f, depth, format_args!("yield {}", separated(", ", merge.results.iter())))
}

fn line(f: &mut Formatter<'_>, depth: usize, text: impl Display) -> fmt::Result {
    writeln!(f, "{:1$}{text}", "", 2 * depth)
}

fn operand((number, operand): (usize, &Operand)) -> impl Display + '_ {
    fmt::from_fn(move |f| write!(f, "{} o{number}: {}", operand.access, operand.dtype))
}

fn typed(kernel: &Kernel, value: ValueId) -> impl Display + '_ {
    fmt::from_fn(move |f| match kernel.types.get(value.0 as usize) {
        Some(dtype) => write!(f, "{value}: {dtype}"),
        None => write!(f, "{value}: ?"),
    })
}

fn axis_list(axes: &[Axis]) -> impl Display + '_ {
    fmt::from_fn(move |f| {
        f.write_str(if axes.is_empty() { "" } else { " " })?;
        list(f, axes.iter())
    })
}

fn carried_list(carried: &[Carried]) -> impl Display + '_ {
    let item = |c: &Carried| {
        let c = *c;
        fmt::from_fn(move |f| write!(f, "{} = {}, then {}, last {}", c.current, c.initial, c.next, c.result))
    };
    fmt::from_fn(move |f| write!(f, " ({})", separated("; ", carried.iter().map(item))))
}

/// A single item bare, several in parentheses.
fn group(f: &mut Formatter<'_>, items: &[impl Display]) -> fmt::Result {
    match items {
        [single] => single.fmt(f),
        several => write!(f, "({})", separated(", ", several.iter())),
    }
}

fn list(f: &mut Formatter<'_>, items: impl Iterator<Item = impl Display> + Clone) -> fmt::Result {
    separated(", ", items).fmt(f)
}

fn separated(separator: &str, items: impl Iterator<Item = impl Display> + Clone) -> impl Display {
    fmt::from_fn(move |f| {
        items.clone().enumerate().try_for_each(|(position, item)| {
            f.write_str(if position > 0 { separator } else { "" })?;
            item.fmt(f)
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::loops::samples;

    #[test]
    fn a_kernel_of_map_reduce_and_block() {
        assert_eq!(
            samples::row_sums().to_string(),
            "\
kernel row_sums (i, j)
  read o0: f64  write o1: f64
  map i
    reduce j
      v0: f64 = load o0
      v1: f64 = mul v0, v0
      v5: f64 = fold v1 from 0.0 by v2, v3
        v4: f64 = add v2, v3
        yield v4
    block
      store o1, v5
"
        );
    }

    #[test]
    fn a_kernel_with_carried_values() {
        assert_eq!(
            samples::powers().to_string(),
            "\
kernel powers (i, j)
  read o0: i64  write o1: i64  write o2: i64
  map i
    block
      v0: i64 = load o0
    sequential j (v1 = v0, then v2, last v3)
      block
        v2: i64 = add v1, v1
        store o2, v2
    block
      store o1, v3
"
        );
        assert_eq!(
            samples::collatz().to_string(),
            "\
kernel collatz (i)
  read o0: i64  write o1: i64
  map i
    block
      v0: i64 = load o0
      v1: i64 = constant 0
      v2: i64 = constant 1
    while v6 (v3 = v0, then v12, last v5; v4 = v1, then v13, last v7)
      condition
        v6: bool = gt v3, v2
      do
        block
          v8: i64 = and v3, v2
          v9: i64 = shr v3, v2
          v10: bool = eq v8, v2
          v14: i64 = constant 3
          v11: i64 = mul v3, v14
          v15: i64 = add v11, v2
          v12: i64 = select v10, v15, v9
          v13: i64 = add v4, v2
    block
      store o1, v7
"
        );
    }
}
