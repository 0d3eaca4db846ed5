//! Shaders of matrix products: a workgroup makes one tile of the result from tiles of both matrices that it keeps in
//! workgroup memory; an invocation keeps 4 × 4 sums in registers.
//!
//! The kernel is that of `backend::gpu::product`: a sequence over the inner axis with the sum as its only carried
//! value, between the zero and what follows. Terms are added in the order of the inner axis. A long inner axis is walked by
//! several dispatches, which hand on their sums in scratch memory.

use crate::backend::gpu::emit::body::Body;
use crate::backend::gpu::emit::layout::{Layout, Role};
use crate::backend::gpu::emit::ops::{name, spelled};
use crate::backend::gpu::emit::params::{self, Word, word};
use crate::backend::gpu::emit::types::Types;
use crate::backend::gpu::emit::writer::Writer;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::loops::{Carried, Kernel, Nest, OperandId, ShaderLimits};
use crate::ops::{BinaryOp, Row};

/// Rows, and columns, of the result that an invocation makes.
const PER_INVOCATION: u32 = 4;

/// The shape of the tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiles {
    /// Invocations along rows, and along columns.
    pub side: u32,
    /// Rows, and columns, of a tile of the result.
    pub tile: u32,
    /// How far the tiles of the operands go along the inner axis.
    pub depth: u32,
}

impl Tiles {
    /// The tiles for elements of a dtype on some device.
    pub fn new(dtype: DType, limits: &ShaderLimits) -> Tiles {
        let side = if limits.invocations >= 256 { 16 } else { 4 };
        Tiles { side, tile: side * PER_INVOCATION, depth: if dtype.size() == 8 { 8 } else { 16 } }
    }
}

/// The left and the right operand of a product's kernel.
pub const OPERANDS: [OperandId; 2] = [OperandId(0), OperandId(1)];

struct Product<'a> {
    kernel: &'a Kernel,
    layout: &'a Layout,
    types: Types,
    dtype: DType,
    tiles: Tiles,
    /// What follows, and the value that is the product.
    rest: &'a [Nest],
    carried: Carried,
}

/// The tiles' declarations, the function for what follows, and the entry point.
///
/// # Errors
/// `Internal` for a kernel that is no product.
pub fn entry(
    out: &mut Writer,
    kernel: &Kernel,
    layout: &Layout,
    types: Types,
    nests: &[Nest],
    limits: &ShaderLimits,
) -> Result<()> {
    let [Nest::Block(_), Nest::Sequential { carried, .. }, rest @ ..] = nests else {
        return Err(Error::Internal(format!("the kernel `{}` is no matrix product", kernel.name)));
    };
    let [carried] = carried.as_slice() else {
        return Err(Error::Internal(format!("the matrix product `{}` carries more than a sum", kernel.name)));
    };
    let dtype = kernel.operand(OPERANDS[0]).dtype;
    let tiles = Tiles::new(dtype, limits);
    let product = Product { kernel, layout, types, dtype, tiles, rest, carried: *carried };
    product.declarations(out)?;
    product.main(out);
    Ok(())
}

impl Product<'_> {
    fn declarations(&self, out: &mut Writer) -> Result<()> {
        let (ty, count) = (self.types.value(self.dtype), self.tiles.tile * self.tiles.depth);
        out.line(format_args!("var<workgroup> left_tile: array<{ty}, {count}>;"));
        out.line(format_args!("var<workgroup> right_tile: array<{ty}, {count}>;"));
        out.line("");
        if self.layout.variant.role == Role::ProductPart {
            return Ok(());
        }
        let result = name(self.carried.result);
        out.braces(format_args!("fn finish(batch: u32, row: u32, column: u32, {result}: {ty})"), |out| {
            let scope = [(0, "batch"), (1, "row"), (2, "column")].map(|(number, name)| (number, name.to_string()));
            let (kernel, layout, types) = (self.kernel, self.layout, self.types);
            Body::new(kernel, layout, types, scope.to_vec()).nests(out, self.rest)
        })?;
        out.line("");
        Ok(())
    }

    fn main(&self, out: &mut Writer) {
        let Tiles { side, tile, depth } = self.tiles;
        out.line(format_args!("@compute @workgroup_size({})", side * side));
        let head = "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32)";
        out.braces(head, |out| {
            out.line(format_args!("let batch = group.z + {};", word(Word::FirstBlock)));
            out.line(format_args!("let first_row = group.y * {tile}u + {};", word(Word::FirstPoint)));
            out.line(format_args!("let first_column = group.x * {tile}u;"));
            let (first, rows) = (word(Word::FirstPoint), word(Word::Results));
            out.line(format_args!("let end_row = {first} + {rows};"));
            out.line(format_args!("let columns = {};", params::extent(2)));
            out.line(format_args!("let first_inner = {};", word(Word::InnerStart)));
            out.line(format_args!("let end_inner = {};", word(Word::InnerEnd)));
            out.line(format_args!("let own_row = thread / {side}u;"));
            out.line(format_args!("let own_column = thread % {side}u;"));
            self.start(out);
            out.braces(format_args!("for (var first = first_inner; first < end_inner; first += {depth}u)"), |out| {
                self.fill(out, "left", OPERANDS[0], 1, "first_row", "end_row");
                self.fill(out, "right", OPERANDS[1], 2, "first_column", "columns");
                out.line("workgroupBarrier();");
                self.multiply(out);
                out.line("workgroupBarrier();");
            });
            self.each_element(out, |out, sum| match self.layout.scratch_out {
                Some(buffer) => {
                    out.lines(self.types.store_scratch(self.dtype, &format!("buffer{buffer}"), "place", sum));
                }
                None => out.line(format_args!("finish(batch, row, column, {sum});")),
            });
        });
    }

    /// The sums: zeros, or what earlier dispatches made.
    fn start(&self, out: &mut Writer) {
        let zero = self.zero();
        self.each_sum(|i, j| out.line(format_args!("var sum_{i}_{j} = {zero};")));
        if let Some(buffer) = self.layout.scratch_in.or(self.layout.scratch_out) {
            out.braces("if (first_inner > 0u)", |out| {
                self.each_element(out, |out, sum| {
                    let made = self.types.load_scratch(self.dtype, &format!("buffer{buffer}"), "place");
                    out.line(format_args!("{sum} = {made};"));
                });
            });
        }
    }

    /// Code for each sum of an element that is there, with its row, its column, and its place in scratch memory.
    fn each_element(&self, out: &mut Writer, act: impl Fn(&mut Writer, &str)) {
        let side = self.tiles.side;
        let (first, rows) = (word(Word::FirstPoint), word(Word::Results));
        let words = self.types.scratch_words(self.dtype);
        let has_scratch = self.layout.scratch_in.or(self.layout.scratch_out).is_some();
        self.each_sum(|i, j| {
            let inside = format!(
                "if (first_row + own_row + {}u < end_row && first_column + own_column + {}u < columns)",
                i * side,
                j * side
            );
            out.braces(inside, |out| {
                out.line(format_args!("let row = first_row + own_row + {}u;", i * side));
                out.line(format_args!("let column = first_column + own_column + {}u;", j * side));
                if has_scratch {
                    let line = format!("group.z * {rows} + row - {first}");
                    out.line(format_args!("let place = (({line}) * columns + column) * {words}u;"));
                }
                act(out, &format!("sum_{i}_{j}"));
            });
        });
    }

    fn each_sum(&self, mut act: impl FnMut(u32, u32)) {
        for i in 0..PER_INVOCATION {
            (0..PER_INVOCATION).for_each(|j| act(i, j));
        }
    }

    /// Loads a tile, zero beyond the ends. Neighbors load neighbors in memory, whichever axis that is.
    fn fill(&self, out: &mut Writer, side: &str, operand: OperandId, line_loop: usize, first: &str, end: &str) {
        let Tiles { tile, depth, .. } = self.tiles;
        let stride = |number| params::stride(operand, number);
        let (base, batch, line, inner) = (params::offset(operand), stride(0), stride(line_loop), stride(3));
        let threads = self.tiles.side * self.tiles.side;
        let Some((buffer, storage)) = self.layout.storage(operand) else { return };
        out.braces(format_args!("for (var item = thread; item < {}u; item += {threads}u)", tile * depth), |out| {
            out.line(format_args!("let along_inner = {inner} == 1u;"));
            out.line(format_args!("let k = select(item / {tile}u, item % {depth}u, along_inner);"));
            out.line(format_args!("let line = select(item % {tile}u, item / {depth}u, along_inner);"));
            out.line(format_args!("let place = k * {tile}u + line;"));
            out.line(format_args!("{side}_tile[place] = {};", self.zero()));
            out.braces(format_args!("if ({first} + line < {end} && first + k < end_inner)"), |out| {
                out.line(format_args!(
                    "let at = {base} + batch * {batch} + ({first} + line) * {line} + (first + k) * {inner};"
                ));
                let value = self.types.load(self.dtype, storage, &format!("buffer{buffer}"), "at");
                out.line(format_args!("{side}_tile[place] = {value};"));
            });
        });
    }

    fn zero(&self) -> String {
        self.types.constant(crate::dtype::Scalar::I64(0).cast(self.dtype))
    }

    fn multiply(&self, out: &mut Writer) {
        let Tiles { side, tile, depth } = self.tiles;
        let (times, plus) = accumulation(self.dtype);
        out.braces(format_args!("for (var k = 0u; k < {depth}u; k++)"), |out| {
            for i in 0..PER_INVOCATION {
                let offset = i * side;
                out.line(format_args!("let left_{i} = left_tile[k * {tile}u + own_row + {offset}u];"));
                out.line(format_args!("let right_{i} = right_tile[k * {tile}u + own_column + {offset}u];"));
            }
            self.each_sum(|i, j| {
                let product = spelled(times, self.dtype, &[format!("left_{i}"), format!("right_{j}")]);
                let sum = spelled(plus, self.dtype, &[format!("sum_{i}_{j}"), format!("({product})")]);
                out.line(format_args!("sum_{i}_{j} = {sum};"));
            });
        });
    }
}

/// What takes the place of multiplication and addition in products of a dtype.
pub fn accumulation(dtype: DType) -> (&'static Row, &'static Row) {
    let (times, plus) = accumulation_ops(dtype);
    (times.row(), plus.row())
}

/// As `accumulation`, as ops.
pub fn accumulation_ops(dtype: DType) -> (BinaryOp, BinaryOp) {
    match dtype {
        DType::Bool => (BinaryOp::And, BinaryOp::Or),
        DType::I8 | DType::U8 | DType::I32 | DType::U32 | DType::I64 | DType::U64 | DType::F32 | DType::F64 => {
            (BinaryOp::Mul, BinaryOp::Add)
        }
    }
}
