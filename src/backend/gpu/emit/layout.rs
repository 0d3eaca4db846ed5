//! Where the data of a launch are: the words of the uniform buffer, and which storage buffer holds which operand.
//!
//! Emission writes shaders against a layout, and launches fill the same layout in. Axes are the *loops* that a launch
//! makes of a kernel's axes by merging those that are walked as one: first those over results, then those of the
//! reduction, then those of steps, which are not merged.

use crate::backend::gpu::emit::params::Word;
use crate::backend::gpu::emit::types::{Storage, Types};
use crate::backend::gpu::shader::ShaderAccess;
use crate::error::{Error, Result};
use crate::loops::{Access, Axis, Kernel, Nest, OperandId, ShaderLimits};

/// Which part of a kernel a shader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A kernel without a reduction: an invocation for each point.
    Map,
    /// A kernel without a reduction: an invocation for four points in a row, whose bytes it writes as words.
    MapBytes,
    /// As `Map`, for so many rounds of the loops of each point, from where the last dispatch left off.
    MapPart,
    /// A reduction of one block of elements, with everything that follows it.
    Direct,
    /// A reduction of every block of elements to a state in scratch memory.
    Partial,
    /// States of consecutive blocks, as many as a workgroup has invocations, to one state.
    Merge,
    /// As `Merge`, of all states that are left, with everything that follows the reduction.
    Finish,
    /// A matrix product in tiles, with everything that follows it.
    Product,
    /// A matrix product over a range of the inner axis, to sums in scratch memory, from the sums that are there.
    ProductPart,
    /// As `Product`, over the last range of the inner axis, from the sums in scratch memory.
    ProductEnd,
}

impl Role {
    /// What a shader of this role does, for readers of its text.
    pub fn description(self) -> &'static str {
        match self {
            Role::Map => "an invocation for each point",
            Role::MapBytes => "an invocation for four points in a row, whose bytes it writes as words",
            Role::MapPart => "an invocation for each point, some rounds of its loops from where it paused",
            Role::Direct => "reductions of one block of elements, and what follows them",
            Role::Partial => "reductions of blocks of elements to states in scratch memory",
            Role::Merge => "states of consecutive blocks to one state",
            Role::Finish => "the last states of a reduction to one, and what follows it",
            Role::Product => "a matrix product in tiles, and what follows it",
            Role::ProductPart => "a matrix product over a part of the inner axis, to sums in scratch memory",
            Role::ProductEnd => "the last part of a matrix product, and what follows it",
        }
    }
}

/// What a shader is made for, besides the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant {
    /// The part.
    pub role: Role,
    /// The number of loops over results.
    pub outer: usize,
    /// The number of loops of the reduction.
    pub reduced: usize,
    /// Whether neighboring invocations work on neighboring results, else on neighboring elements of one reduction.
    pub results_first: bool,
}

/// How many words come before the extents.
const HEAD: usize = Word::ALL.len();

/// Where an operand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// In a storage buffer, by its index.
    Buffer(usize),
    /// Nowhere: it is computed from its position.
    Position,
    /// Not used by this shader.
    Unused,
}

/// A storage buffer of a shader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    /// How it is declared.
    pub storage: Storage,
    /// How it is used.
    pub access: ShaderAccess,
}

/// The layout of a shader's data.
#[derive(Debug, Clone)]
pub struct Layout {
    /// What the shader is made for.
    pub variant: Variant,
    /// The axes of nests inside a point: steps and loops of their own.
    pub steps: Vec<Axis>,
    /// Where each operand is.
    pub homes: Vec<Home>,
    /// The storage buffers. The last ones are scratch memory, read and then written.
    pub buffers: Vec<Buffer>,
    /// Scratch memory that is read.
    pub scratch_in: Option<usize>,
    /// Scratch memory that is written.
    pub scratch_out: Option<usize>,
    offsets: Vec<usize>,
    words: usize,
}

impl Layout {
    /// The layout of a variant of a kernel.
    ///
    /// # Errors
    /// `Unsupported` for a kernel that writes more results than the device has storage buffers.
    pub fn new(kernel: &Kernel, variant: Variant, limits: &ShaderLimits) -> Result<Layout> {
        let steps = steps(&kernel.body);
        let used = used_operands(kernel, variant.role);
        let mut offsets = Vec::with_capacity(kernel.operands.len());
        let loops = variant.outer + variant.reduced + steps.len();
        let mut next = HEAD + loops;
        for operand in &kernel.operands {
            offsets.push(next);
            next += loops + if operand.access == Access::Index { 2 } else { 1 };
        }
        let mut layout = Layout {
            variant,
            steps,
            homes: Vec::new(),
            buffers: Vec::new(),
            scratch_in: None,
            scratch_out: None,
            offsets,
            words: next.next_multiple_of(4),
        };
        layout.place(kernel, &used, limits)?;
        Ok(layout)
    }

    /// Gives each operand a buffer; reads that would be too many share the last one for reads.
    fn place(&mut self, kernel: &Kernel, used: &[bool], limits: &ShaderLimits) -> Result<()> {
        let (reads_scratch, writes_scratch) = match self.variant.role {
            Role::Map | Role::MapBytes | Role::Direct | Role::Product => (false, false),
            Role::MapPart | Role::Partial | Role::ProductPart => (false, true),
            Role::Merge => (true, true),
            Role::Finish | Role::ProductEnd => (true, false),
        };
        let count = |access| kernel.operands.iter().zip(used).filter(|(x, used)| **used && x.access == access).count();
        let (reads, writes) = (count(Access::Read), count(Access::Write));
        let taken = writes + usize::from(reads_scratch) + usize::from(writes_scratch);
        let room = (limits.storage_buffers as usize).saturating_sub(taken);
        if room < reads.min(1) || taken > limits.storage_buffers as usize {
            return Err(Error::Unsupported(format!(
                "the kernel `{}` needs {} storage buffers and the device binds at most {}; compute fewer outputs in \
                 one function",
                kernel.name,
                reads.min(1) + taken,
                limits.storage_buffers
            )));
        }
        let (mut seen, mut shared) = (0, None);
        for (operand, used) in kernel.operands.iter().zip(used) {
            let home = match operand.access {
                _ if !used => Home::Unused,
                Access::Index => Home::Position,
                Access::Write => self.add(Storage::write(operand.dtype), ShaderAccess::ReadWrite),
                Access::Read => {
                    seen += 1;
                    match shared {
                        Some(home) => home,
                        None if reads > room && seen == room => {
                            let home = self.add(Storage::Words, ShaderAccess::Read);
                            shared = Some(home);
                            home
                        }
                        None => self.add(Storage::read(operand.dtype), ShaderAccess::Read),
                    }
                }
            };
            self.homes.push(home);
        }
        if reads_scratch {
            self.scratch_in = Some(self.buffers.len());
            self.add(Storage::Words, ShaderAccess::Read);
        }
        if writes_scratch {
            self.scratch_out = Some(self.buffers.len());
            self.add(Storage::Words, ShaderAccess::ReadWrite);
        }
        Ok(())
    }

    fn add(&mut self, storage: Storage, access: ShaderAccess) -> Home {
        self.buffers.push(Buffer { storage, access });
        Home::Buffer(self.buffers.len() - 1)
    }

    /// The number of words of the uniform buffer.
    pub fn words(&self) -> usize {
        self.words
    }

    /// The number of loops.
    pub fn loops(&self) -> usize {
        self.variant.outer + self.variant.reduced + self.steps.len()
    }

    /// Where the extent of a loop is.
    pub fn extent(&self, loop_index: usize) -> usize {
        HEAD + loop_index
    }

    /// The loop over an axis of steps.
    pub fn step(&self, axis: Axis) -> Option<usize> {
        let own = self.steps.iter().position(|step| *step == axis)?;
        Some(self.variant.outer + self.variant.reduced + own)
    }

    /// Where the position of an operand is, two words for `Access::Index`, else the number of its first element.
    pub fn base(&self, operand: OperandId) -> usize {
        self.offsets[operand.0 as usize]
    }

    /// Where the step of an operand along a loop is.
    pub fn stride(&self, kernel: &Kernel, operand: OperandId, loop_index: usize) -> usize {
        let base = if kernel.operand(operand).access == Access::Index { 2 } else { 1 };
        self.offsets[operand.0 as usize] + base + loop_index
    }

    /// How the buffer of an operand is declared.
    pub fn storage(&self, operand: OperandId) -> Option<(usize, Storage)> {
        match self.homes[operand.0 as usize] {
            Home::Buffer(index) => Some((index, self.buffers[index].storage)),
            Home::Position | Home::Unused => None,
        }
    }

    /// The operands that share a buffer with others.
    pub fn is_shared(&self, buffer: usize) -> bool {
        self.homes.iter().filter(|home| **home == Home::Buffer(buffer)).count() > 1
    }
}

/// The axes of nests inside a point of the outermost map, each once, in order.
pub fn steps(body: &[Nest]) -> Vec<Axis> {
    let mut axes = Vec::new();
    for nest in body {
        if let Nest::Map { body, .. } = nest {
            collect_steps(body, &mut axes);
        }
    }
    axes
}

fn collect_steps(nests: &[Nest], axes: &mut Vec<Axis>) {
    for nest in nests {
        match nest {
            Nest::Map { axes: own, body } => {
                own.iter().for_each(|axis| collect_step(*axis, axes));
                collect_steps(body, axes);
            }
            Nest::Sequential { axis, body, .. } => {
                collect_step(*axis, axes);
                collect_steps(body, axes);
            }
            Nest::While { body, .. } => collect_steps(body, axes),
            Nest::Reduce { .. } | Nest::Block(_) => {}
        }
    }
}

/// Nests beside one another may walk the same axis.
fn collect_step(axis: Axis, axes: &mut Vec<Axis>) {
    if !axes.contains(&axis) {
        axes.push(axis);
    }
}

/// Which operands a shader of this role touches.
fn used_operands(kernel: &Kernel, role: Role) -> Vec<bool> {
    let mut used = vec![false; kernel.operands.len()];
    for nest in &kernel.body {
        mark(nest, role, &mut used);
    }
    used
}

fn mark(nest: &Nest, role: Role, used: &mut [bool]) {
    let (elements, rest) = match role {
        Role::Map | Role::MapBytes | Role::MapPart | Role::Direct | Role::Product | Role::ProductEnd => (true, true),
        Role::Partial | Role::ProductPart => (true, false),
        Role::Merge => (false, false),
        Role::Finish => (false, true),
    };
    match nest {
        Nest::Map { body, .. } => body.iter().for_each(|nest| mark(nest, role, used)),
        Nest::Reduce { body, .. } if elements => mark_block(body, used),
        Nest::Reduce { .. } => {}
        Nest::Sequential { body, .. } if role == Role::ProductPart => {
            body.iter().for_each(|nest| mark(nest, Role::Product, used));
        }
        Nest::Sequential { body, .. } if rest => body.iter().for_each(|nest| mark(nest, role, used)),
        Nest::While { condition, body, .. } if rest => {
            mark_block(condition, used);
            body.iter().for_each(|nest| mark(nest, role, used));
        }
        Nest::Block(block) if rest => mark_block(block, used),
        Nest::Sequential { .. } | Nest::While { .. } | Nest::Block(_) => {}
    }
}

fn mark_block(block: &crate::loops::Block, used: &mut [bool]) {
    for operand in block_operands(block) {
        used[operand.0 as usize] = true;
    }
}

/// The operands that a block loads and stores, each once, in order.
pub fn block_operands(block: &crate::loops::Block) -> Vec<OperandId> {
    let mut operands = Vec::new();
    for statement in &block.statements {
        let operand = match statement {
            crate::loops::Statement::Let(_, crate::loops::Operation::Load(operand)) => *operand,
            crate::loops::Statement::Store(operand, _) => *operand,
            crate::loops::Statement::Let(..) => continue,
        };
        if !operands.contains(&operand) {
            operands.push(operand);
        }
    }
    operands
}

/// How many words one state of a kernel's reductions takes in scratch memory.
pub fn state_words(kernel: &Kernel, types: Types) -> usize {
    let Some(reductions) = reductions(kernel) else { return 0 };
    let parts = reductions.iter().flat_map(|reduction| &reduction.init);
    parts.map(|part| types.scratch_words(part.dtype())).sum()
}

/// The reductions of a kernel whose points begin with one.
pub fn reductions(kernel: &Kernel) -> Option<&[crate::loops::Reduction]> {
    match kernel.body.as_slice() {
        [Nest::Map { body, .. }] => match body.first() {
            Some(Nest::Reduce { reductions, .. }) => Some(reductions),
            _ => None,
        },
        _ => None,
    }
}
