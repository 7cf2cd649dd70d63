//! Cuts a program down while it still shows what it shows.

use super::program::{Program, Statement};

/// The smallest program that was found for which `shows` is still true, as it is for the given one.
pub(crate) fn shrink(mut program: Program, mut shows: impl FnMut(&Program) -> bool) -> Program {
    loop {
        let count = program.functions.iter().map(|function| size(function)).sum();
        let smaller = (0..count).rev().find_map(|index| {
            let candidate = without(&program, index)?;
            shows(&candidate).then_some(candidate)
        });
        match smaller {
            Some(smaller) => program = smaller,
            None => return program,
        }
    }
}

/// How many statements there are, inner ones among them.
fn size(statements: &[Statement]) -> usize {
    statements.iter().map(|statement| 1 + parts(statement).iter().map(|part| size(part)).sum::<usize>()).sum()
}

fn parts(statement: &Statement) -> Vec<&Vec<Statement>> {
    match statement {
        Statement::If { then, other, .. } => vec![then, other],
        Statement::Loop { body, .. } | Statement::MayGoto(body) => vec![body],
        _ => Vec::new(),
    }
}

fn parts_mut(statement: &mut Statement) -> Vec<&mut Vec<Statement>> {
    match statement {
        Statement::If { then, other, .. } => vec![then, other],
        Statement::Loop { body, .. } | Statement::MayGoto(body) => vec![body],
        _ => Vec::new(),
    }
}

/// The program without one statement, with what was in it.
fn without(program: &Program, mut index: usize) -> Option<Program> {
    let mut program = program.clone();
    program.functions.iter_mut().any(|function| remove(function, &mut index)).then_some(program)
}

fn remove(statements: &mut Vec<Statement>, index: &mut usize) -> bool {
    let mut at = 0;
    while at < statements.len() {
        if *index == 0 {
            statements.remove(at);
            return true;
        }
        *index -= 1;
        if parts_mut(&mut statements[at]).into_iter().any(|part| remove(part, index)) {
            return true;
        }
        at += 1;
    }
    false
}
