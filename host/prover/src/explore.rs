//! The walk over a whole domain: run, cut where the run needs to know, go on in every part.
//!
//! A run stops only where what it does next depends on the input. Its cube is then cut, and the same state
//! goes on in each part, so that the parts share all that came before. What is reached at an end holds for
//! every input of that end's cube; the cubes are disjoint and leave nothing out, because each cut is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::abi;
use crate::domain::{Cube, Domain, Range};
use crate::error::ProveError;
use crate::machine::{MOST_FRAMES, Machine, Snapshot, Stop};
use crate::module::{Function, Module};
use crate::split::Cut;
use crate::term::{Terms, Value};
use crate::tree::{Node, Outcome, Outcomes, Rulings};

/// The fuel of one evaluation, as the engine gives it.
pub const FUEL: u64 = 10_000_000;

/// More ends than this are not gathered.
const MOST_CASES: usize = 4_000_000;

/// The domain is cut into about so many pieces before they are handed to the threads.
const PIECES: usize = 192;

/// The calls of one evaluation, in their order.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Memory for the facts, where they are too many for parameters.
    Realloc,
    Call,
    /// The module cleans up; the ruling is already there.
    PostReturn(u32),
}

/// One thread's walk.
struct Walk<'a> {
    module: &'a Module,
    function: &'a Function,
    machine: Machine<'a, 'a>,
    phase: Phase,
    outcomes: Outcomes,
    cases: &'a AtomicUsize,
    most_fuel: u64,
}

/// What came of a cube.
enum Step {
    End(u32),
    Cut(Cut),
}

/// All rulings of one question, found by so many threads.
///
/// # Errors
/// When the question has no end of inputs, or the module does with them what is not followed.
pub fn rulings(
    module: &Module,
    function: &Function,
    threads: usize,
) -> Result<Rulings, ProveError> {
    let domain = function.finite()?;
    let cases = AtomicUsize::new(0);
    let mut first = Walk::new(module, function, domain, &cases);
    let frontier = first.frontier(domain)?;
    let pending = frontier.pending();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Done {
        outcomes: std::mem::take(&mut first.outcomes),
        pieces: vec![None; pending.len()],
        most_fuel: first.most_fuel,
    });
    drop(first);
    let work = || -> Result<(), ProveError> {
        let mut walk = Walk::new(module, function, domain, &cases);
        let mut mine = Vec::new();
        while let Some(cube) = pending.get(next.fetch_add(1, Ordering::Relaxed)) {
            mine.push((cube.0, walk.tree(&cube.1)?));
        }
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        let list = walk.outcomes.into_list();
        let numbers: Vec<u32> = list
            .into_iter()
            .map(|outcome| done.outcomes.number(outcome))
            .collect();
        for (piece, mut node) in mine {
            node.renumber(&numbers);
            done.pieces[piece] = Some(node);
        }
        done.most_fuel = done.most_fuel.max(walk.most_fuel);
        Ok(())
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.max(1))
            .map(|_| {
                std::thread::Builder::new()
                    .stack_size(STACK)
                    .spawn_scoped(scope, work)
                    .map_err(|error| ProveError::Internal(error.to_string()))
            })
            .collect();
        let own = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, work)
            .map_err(|error| ProveError::Internal(error.to_string()));
        for thread in others.into_iter().chain([own]) {
            thread?
                .join()
                .map_err(|_| ProveError::Internal("a thread of it panicked".into()))??;
        }
        Ok::<(), ProveError>(())
    })?;
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let root = frontier.assemble(0, &mut done.pieces)?;
    Ok(Rulings {
        function: function.name.clone(),
        domain: Arc::clone(domain),
        outcomes: done.outcomes.into_list(),
        cases: cases.into_inner(),
        most_fuel: done.most_fuel,
        root,
    })
}

/// One input's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluated {
    /// How it ends.
    pub outcome: Outcome,
    /// The fuel it takes, as the engine counts it.
    pub fuel: u64,
}

/// What a module rules for one input, given as one value for each fact of the domain.
///
/// # Errors
/// When the module does with it what is not followed.
pub fn evaluate(
    module: &Module,
    function: &Function,
    values: &[u64],
) -> Result<Evaluated, ProveError> {
    let domain = function.finite()?;
    let facts = domain.facts.iter().zip(values);
    let cube: Cube = facts.map(|(fact, value)| fact.kind.only(*value)).collect();
    let cases = AtomicUsize::new(0);
    let mut walk = Walk::new(module, function, domain, &cases);
    walk.begin(&cube)?;
    match walk.step()? {
        Step::End(leaf) => Ok(Evaluated {
            outcome: walk.outcomes.at(leaf),
            fuel: walk.most_fuel,
        }),
        Step::Cut(_) => Err(ProveError::Internal("one input was cut".into())),
    }
}

/// Cuts are nested as deep as there are facts, flags and constants; each level takes little of this.
const STACK: usize = 64 << 20;

struct Done {
    outcomes: Outcomes,
    pieces: Vec<Option<Node>>,
    most_fuel: u64,
}

/// The top of the tree, with pieces that are still to be walked.
struct Frontier {
    nodes: Vec<Top>,
}

enum Top {
    End(u32),
    /// The number of a piece, and its cube.
    Piece(usize, Cube),
    Cut(usize, Vec<(Range, usize)>),
}

impl Frontier {
    fn pending(&self) -> Vec<(usize, Cube)> {
        let pieces = self.nodes.iter().filter_map(|node| match node {
            Top::Piece(piece, cube) => Some((*piece, cube.clone())),
            _ => None,
        });
        pieces.collect()
    }

    fn assemble(&self, at: usize, pieces: &mut [Option<Node>]) -> Result<Node, ProveError> {
        match &self.nodes[at] {
            Top::End(leaf) => Ok(Node::Leaf(*leaf)),
            Top::Piece(piece, _) => pieces[*piece]
                .take()
                .ok_or_else(|| ProveError::Internal("a piece was not walked".into())),
            Top::Cut(fact, parts) => {
                let parts = parts
                    .iter()
                    .map(|(range, part)| Ok((range.clone(), self.assemble(*part, pieces)?)))
                    .collect::<Result<_, ProveError>>()?;
                Ok(Node::cut(*fact, parts))
            }
        }
    }
}

impl<'a> Walk<'a> {
    fn new(
        module: &'a Module,
        function: &'a Function,
        domain: &'a Domain,
        cases: &'a AtomicUsize,
    ) -> Self {
        let terms = Terms::new(domain, &domain.whole());
        Self {
            module,
            function,
            machine: Machine::new(&module.code, terms, FUEL),
            phase: Phase::Call,
            outcomes: Outcomes::default(),
            cases,
            most_fuel: 0,
        }
    }

    /// Cuts the domain, the largest pieces first, until there are enough of them.
    fn frontier(&mut self, domain: &Domain) -> Result<Frontier, ProveError> {
        let mut nodes = vec![Top::Piece(0, domain.whole())];
        let mut open = VecDeque::from([0]);
        while open.len() < PIECES
            && let Some(at) = open.pop_front()
        {
            let Top::Piece(_, cube) = &nodes[at] else {
                continue;
            };
            let cube = cube.clone();
            self.begin(&cube)?;
            nodes[at] = match self.step()? {
                Step::End(leaf) => Top::End(leaf),
                Step::Cut(cut) => {
                    let mut parts = Vec::new();
                    for range in cut.parts {
                        let mut part = cube.clone();
                        part[cut.fact] = range.clone();
                        open.push_back(nodes.len());
                        parts.push((range, nodes.len()));
                        nodes.push(Top::Piece(0, part));
                    }
                    Top::Cut(cut.fact, parts)
                }
            };
        }
        let mut count = 0;
        for node in &mut nodes {
            if let Top::Piece(piece, _) = node {
                *piece = count;
                count += 1;
            }
        }
        Ok(Frontier { nodes })
    }

    /// The tree of a cube.
    fn tree(&mut self, cube: &Cube) -> Result<Node, ProveError> {
        self.begin(cube)?;
        self.grow()
    }

    fn grow(&mut self) -> Result<Node, ProveError> {
        let cut = match self.step()? {
            Step::End(leaf) => return Ok(Node::Leaf(leaf)),
            Step::Cut(cut) => cut,
        };
        let (saved, phase): (Snapshot, Phase) = (self.machine.snapshot(), self.phase);
        let whole = self.machine.terms.range(cut.fact).clone();
        let mut parts = Vec::with_capacity(cut.parts.len());
        for range in cut.parts {
            self.machine.terms.set_range(cut.fact, range.clone());
            let node = self.grow()?;
            parts.push((range, node));
            self.machine.restore(&saved);
            self.phase = phase;
        }
        self.machine.terms.set_range(cut.fact, whole);
        Ok(Node::cut(cut.fact, parts))
    }

    /// A fresh instance, called with every input of a cube.
    fn begin(&mut self, cube: &Cube) -> Result<(), ProveError> {
        self.machine.reset();
        self.machine.terms.begin(cube);
        let core = self.function.core;
        let started = if self.function.facts.flat() > abi::MOST_FLAT_PARAMS {
            let realloc = core
                .realloc
                .ok_or_else(|| ProveError::Wiring("no memory for the facts".into()))?;
            self.phase = Phase::Realloc;
            let (size, alignment) = (self.function.facts.size(), self.function.facts.alignment());
            let arguments = [0, 0, alignment, size].map(|bits| Value::concrete(u64::from(bits)));
            self.machine.call(realloc, &arguments)
        } else {
            self.phase = Phase::Call;
            let arguments = abi::flat(&mut self.machine, &self.function.facts);
            self.machine.call(core.call, &arguments)
        };
        // There is fuel for an entry, and no frame before it.
        started.map_err(|_| ProveError::Internal("a call did not begin".into()))
    }

    /// Runs to an end or to a cut.
    fn step(&mut self) -> Result<Step, ProveError> {
        loop {
            // A cut may have been asked for by what the function returned.
            let stop = if self.machine.is_done() {
                Stop::Returned
            } else {
                self.machine.run()
            };
            let stop = match stop {
                Stop::Returned => match self.returned() {
                    Ok(None) => continue,
                    Ok(Some(number)) => return self.end(number),
                    Err(stop) => stop,
                },
                stop => stop,
            };
            return match stop {
                Stop::Cut(cut) => Ok(Step::Cut(cut)),
                Stop::Trapped(code) => {
                    let number = self.outcomes.number(Outcome::Trapped(code));
                    self.end(number)
                }
                Stop::OutOfFuel => {
                    let number = self.outcomes.number(Outcome::FuelExhausted);
                    self.end(number)
                }
                other => Err(self.refusal(other)),
            };
        }
    }

    fn end(&mut self, number: u32) -> Result<Step, ProveError> {
        if self.cases.fetch_add(1, Ordering::Relaxed) >= MOST_CASES {
            return Err(ProveError::TooManyCases {
                function: self.function.name.clone(),
                limit: MOST_CASES,
            });
        }
        self.most_fuel = self.most_fuel.max(self.machine.fuel().min(FUEL));
        Ok(Step::End(number))
    }

    /// One call of the evaluation is over: the next one, or the number of the outcome.
    fn returned(&mut self) -> Result<Option<u32>, Stop> {
        let core = self.function.core;
        match self.phase {
            Phase::Realloc => {
                let at = self.machine.results().first().copied().unwrap_or_default();
                let at = self.machine.plain(at, "the address of the facts")?;
                abi::write(&mut self.machine, &self.function.facts, at)?;
                self.phase = Phase::Call;
                self.machine.call(core.call, &[Value::concrete(at)])?;
            }
            Phase::Call => {
                let ruling = abi::lift(&mut self.machine, &self.function.ruling)?;
                let number = self.outcomes.number(Outcome::Ruled(ruling));
                let Some(post_return) = core.post_return else {
                    return Ok(Some(number));
                };
                let results = self.machine.results().to_vec();
                self.phase = Phase::PostReturn(number);
                self.machine.call(post_return, &results)?;
            }
            Phase::PostReturn(number) => return Ok(Some(number)),
        }
        Ok(None)
    }

    fn refusal(&self, stop: Stop) -> ProveError {
        let function = self.function.name.clone();
        let code = self.machine.running();
        match stop {
            Stop::Unsupported(index) => ProveError::Unsupported {
                function,
                operator: self.module.code.unsupported[index as usize].clone(),
                code,
            },
            Stop::Stuck { facts, operator } => {
                let all = self.machine.terms.domain.facts.iter().enumerate();
                let named = all.filter(|(index, _)| facts >> index & 1 == 1);
                let named: Vec<String> = named
                    .map(|(_, fact)| format!("`{}`", fact.path.join(".")))
                    .collect();
                ProveError::Arithmetic {
                    function,
                    fields: named.join(" and "),
                    code,
                    operator,
                }
            }
            _ => ProveError::TooDeep {
                function,
                limit: MOST_FRAMES,
                code,
            },
        }
    }
}
