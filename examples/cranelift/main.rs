//! A small language, compiled by Cranelift and linked by minild for Linux, macOS and Windows:
//! `cargo run --example cranelift -- TARGET FILE OUTPUT`.
//!
//! A program is a list of functions of 64-bit numbers, the last one `main`; `fibonacci.lisp` is one. What it calls and
//! does not define is the C library's.

mod module;

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AbiParam, BlockArg, InstBuilder, Value, types::I64};
use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_module::{DataDescription, FuncId, Linkage, Module};
use minild::arch::start_up::start_by_libc;
use minild::program::{Definition, Import, Program};
use minild::{Architecture, OperatingSystem, Options, Target};

use module::ProgramModule;

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// What a program is written in: numbers, "texts", names and (lists of them).
#[derive(Debug)]
enum Expression {
    Number(i64),
    Text(String),
    Name(String),
    List(Vec<Expression>),
}

use Expression::{List, Name, Number, Text};

/// Reads all expressions up to a closing bracket, or to the end.
fn read(text: &mut &str) -> Result<Vec<Expression>> {
    let mut read_so_far = Vec::new();
    loop {
        *text = text.trim_start();
        let Some(first) = text.chars().next() else { return Ok(read_so_far) };
        match first {
            ')' => return Ok(read_so_far),
            ';' => *text = text.find('\n').map_or("", |end| &text[end..]),
            '(' => {
                *text = &text[1..];
                read_so_far.push(List(read(text)?));
                *text = text.strip_prefix(')').ok_or("a bracket is not closed")?;
            }
            '"' => {
                let end = text[1..].find('"').ok_or("a text is not closed")?;
                read_so_far.push(Text(text[1..=end].to_owned()));
                *text = &text[end + 2..];
            }
            _ => {
                let end = text.find(|c: char| c.is_whitespace() || "();\"".contains(c));
                let (word, rest) = text.split_at(end.unwrap_or(text.len()));
                read_so_far.push(word.parse().map_or_else(|_| Name(word.to_owned()), Number));
                *text = rest;
            }
        }
    }
}

/// Translates one function's body.
struct Translator<'t> {
    builder: FunctionBuilder<'t>,
    module: &'t mut ProgramModule,
    parameters: HashMap<String, Value>,
}

impl Translator<'_> {
    fn all(&mut self, expressions: &[Expression]) -> Result<Value> {
        let mut last = None;
        for expression in expressions {
            last = Some(self.value(expression)?);
        }
        last.ok_or_else(|| "an expression is missing".into())
    }

    fn value(&mut self, expression: &Expression) -> Result<Value> {
        match expression {
            Number(number) => Ok(self.builder.ins().iconst(I64, *number)),
            Text(text) => self.text(text),
            Name(name) => {
                let known = self.parameters.get(name).copied();
                known.ok_or_else(|| format!("nothing is called {name} here").into())
            }
            List(parts) => match &parts[..] {
                [Name(name), condition, then, otherwise] if name == "if" => {
                    self.choice(condition, then, otherwise)
                }
                [Name(name), rest @ ..] if name == "do" => self.all(rest),
                [Name(name), left, right]
                    if ["+", "-", "*", "/", "%", "<", "="].contains(&name.as_str()) =>
                {
                    let (left, right) = (self.value(left)?, self.value(right)?);
                    let ins = self.builder.ins();
                    Ok(match name.as_str() {
                        "+" => ins.iadd(left, right),
                        "-" => ins.isub(left, right),
                        "*" => ins.imul(left, right),
                        "/" => ins.sdiv(left, right),
                        "%" => ins.srem(left, right),
                        comparison => {
                            let code = if comparison == "<" {
                                IntCC::SignedLessThan
                            } else {
                                IntCC::Equal
                            };
                            let truth = ins.icmp(code, left, right);
                            self.builder.ins().uextend(I64, truth)
                        }
                    })
                }
                [Name(name), arguments @ ..] => self.call(name, arguments),
                _ => Err("a list starts with the name of what is to be done".into()),
            },
        }
    }

    /// The address of a text, with a zero at its end as C wants it.
    fn text(&mut self, text: &str) -> Result<Value> {
        let data = self.module.declare_anonymous_data(false, false)?;
        let mut description = DataDescription::new();
        description.define([text.as_bytes(), &[0]].concat().into_boxed_slice());
        self.module.define_data(data, &description)?;
        let global = self.module.declare_data_in_func(data, self.builder.func);
        Ok(self.builder.ins().symbol_value(I64, global))
    }

    fn choice(
        &mut self,
        condition: &Expression,
        then: &Expression,
        otherwise: &Expression,
    ) -> Result<Value> {
        let condition = self.value(condition)?;
        let [then_block, else_block, end] = [(); 3].map(|()| self.builder.create_block());
        self.builder.append_block_param(end, I64);
        self.builder.ins().brif(condition, then_block, &[], else_block, &[]);
        for (block, branch) in [(then_block, then), (else_block, otherwise)] {
            self.builder.switch_to_block(block);
            let value = self.value(branch)?;
            self.builder.ins().jump(end, &[BlockArg::Value(value)]);
        }
        self.builder.switch_to_block(end);
        Ok(self.builder.block_params(end)[0])
    }

    fn call(&mut self, name: &str, arguments: &[Expression]) -> Result<Value> {
        let values: Vec<_> =
            arguments.iter().map(|argument| self.value(argument)).collect::<Result<_>>()?;
        let function = declare(self.module, name, values.len(), Linkage::Import)?;
        let function = self.module.declare_func_in_func(function, self.builder.func);
        let call = self.builder.ins().call(function, &values);
        Ok(self.builder.inst_results(call)[0])
    }
}

fn declare(
    module: &mut ProgramModule,
    name: &str,
    parameters: usize,
    linkage: Linkage,
) -> Result<FuncId> {
    let mut signature = module.make_signature();
    signature.params = vec![AbiParam::new(I64); parameters];
    signature.returns.push(AbiParam::new(I64));
    Ok(module.declare_function(name, linkage, &signature)?)
}

/// What Cranelift makes code for.
fn isa(target: Target) -> Result<OwnedTargetIsa> {
    let mut flags = settings::builder();
    flags.set("is_pic", "true")?;
    flags.set("opt_level", "speed")?;
    // Cranelift knows no convention of Windows' own for arm64; it is the system's usual one, but for functions that
    // take variable arguments.
    let of_triple = match (target.architecture, target.operating_system) {
        (Architecture::Aarch64, OperatingSystem::Windows) => Target::AARCH64_LINUX,
        _ => target,
    };
    let isa = isa::lookup_by_name(of_triple.row().triples[0])?;
    Ok(isa.finish(settings::Flags::new(flags))?)
}

/// Compiles a program.
pub(crate) fn compile(source: &str, target: Target) -> Result<Program<'static>> {
    let mut module = ProgramModule::new(isa(target)?, target);
    let mut rest = source;
    let functions = read(&mut rest)?;
    if !rest.is_empty() {
        return Err("a bracket is closed that was not open".into());
    }
    for function in functions {
        let List(parts) = &function else { return Err("a program is a list of functions".into()) };
        let [Name(keyword), Name(name), List(parameters), body @ ..] = &parts[..] else {
            return Err("a function is written (fn name (parameters) body)".into());
        };
        if keyword != "fn" {
            return Err(format!("{keyword} is no function").into());
        }
        let id = declare(&mut module, name, parameters.len(), Linkage::Export)?;
        let mut context = module.make_context();
        context.func.signature = module.declarations().get_function_decl(id).signature.clone();
        let mut builder_context = FunctionBuilderContext::new();
        let mut builder = FunctionBuilder::new(&mut context.func, &mut builder_context);
        let entry = builder.create_block();
        builder.append_block_params_for_function_params(entry);
        builder.switch_to_block(entry);
        let values = builder.block_params(entry).to_vec();
        let names = parameters.iter().map(|parameter| match parameter {
            Name(name) => Ok(name.clone()),
            _ => Err("a parameter is a name"),
        });
        let parameters = names.zip(values).map(|(name, value)| Ok((name?, value)));
        let parameters = parameters.collect::<Result<_>>()?;
        {
            let module = &mut module;
            let mut translator = Translator { builder, module, parameters };
            let result = translator.all(body)?;
            let Translator { mut builder, module, .. } = translator;
            builder.ins().return_(&[result]);
            builder.seal_all_blocks();
            builder.finalize(module.target_config());
        }
        module.define_function(id, &mut context)?;
    }
    Ok(with_c_library(module.program))
}

/// Takes what nothing defines from the C library, which also calls `main`.
fn with_c_library(mut program: Program<'static>) -> Program<'static> {
    program.entry = Some(program.reference("main"));
    let (library, prefix) = match program.target.operating_system {
        OperatingSystem::Linux => ("libc.so.6", ""),
        OperatingSystem::MacOs => ("/usr/lib/libSystem.B.dylib", "_"),
        _ => ("msvcrt.dll", ""),
    };
    let library = program.library(library);
    let undefined = program.symbols().iter();
    let undefined = undefined.filter(|symbol| symbol.definition == Definition::Undefined);
    let names: Vec<_> = undefined.map(|symbol| symbol.name.to_string()).collect();
    for name in names {
        let import = Import::by_name(library, format!("{prefix}{name}"));
        program.import(name, import);
    }
    start_by_libc(&mut program);
    program
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [target, source, output] = &arguments[..] else {
        eprintln!("usage: cranelift TARGET FILE OUTPUT");
        return ExitCode::from(2);
    };
    let build = || -> Result<_> {
        let program = compile(&std::fs::read_to_string(source)?, target.parse()?)?;
        Ok(minild::link_to(&program, &Options::default(), Path::new(output))?)
    };
    match build() {
        Ok(_) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{source}: {problem}");
            ExitCode::FAILURE
        }
    }
}
