//! The public face of the crate: what a program that depends on it can name.
//!
//! The list holds what `cargo public-api` lists without impls of traits: modules, types and their
//! public fields, variants, functions, constants, traits and their items, and re-exports. Hidden
//! items and parts of the features `port` and `testing` are left out. What a macro declares is found by its
//! name, with the public functions of the macro's own text.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;

use syn::Attribute;
use syn::Fields;
use syn::ImplItem;
use syn::Item;
use syn::TraitItem;
use syn::UseTree;
use syn::Visibility;

use super::source::Breach;
use super::source::Source;
use super::source::paths;

/// More than this is no face that fits into a head.
pub(crate) const ITEMS_MAX: usize = 250;

/// A module: its name from the root, without `crate`.
type Name = Vec<String>;

/// The parsed modules of a crate.
pub(crate) struct Face {
    modules: BTreeMap<Name, Vec<Item>>,
    extent: Extent,
}

/// Which features are on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All that a program is built with.
    Crate,
    /// Those for stores of one's own and for tests as well.
    Testing,
}

/// What a path leads to: a module, or the item of this number in one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Module(Name),
    Item(Name, usize, String),
}

/// The list under construction.
#[derive(Default)]
struct Listing {
    lines: BTreeSet<String>,
    seen: BTreeSet<Target>,
}

/// One name that a `use` brings: the path, and what it is called here; `None` for `*`.
struct Import {
    path: Name,
    name: Option<String>,
    is_public: bool,
}

impl Face {
    /// Parses the crate below `src`.
    pub(crate) fn read(src: &Path, extent: Extent) -> Self {
        let mut face = Self { modules: BTreeMap::new(), extent };
        face.parse(&src.join("lib.rs"), src, Vec::new());
        face
    }

    /// The public paths, each with the name of the crate in front.
    pub(crate) fn listing(&self) -> BTreeSet<String> {
        let mut listing = Listing::default();
        self.list_module(&Vec::new(), "callgate", &mut listing);
        listing.lines
    }

    fn parse(&mut self, file: &Path, folder: &Path, name: Name) {
        let text =
            std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        self.add(parsed.items, folder, name);
    }

    fn add(&mut self, items: Vec<Item>, folder: &Path, name: Name) {
        let items: Vec<Item> =
            items.into_iter().filter(|item| self.is_compiled(attributes(item))).collect();
        for item in &items {
            let Item::Mod(module) = item else { continue };
            let word = module.ident.to_string();
            let (inner, below) = (below(&name, &word), folder.join(&word));
            if let Some((_, content)) = &module.content {
                self.add(content.clone(), &below, inner);
            } else {
                let (beside, inside) = (folder.join(format!("{word}.rs")), below.join("mod.rs"));
                self.parse(if beside.exists() { &beside } else { &inside }, &below, inner);
            }
        }
        self.modules.insert(name, items);
    }

    /// Whether `cfg` lets an item be: with every feature but those of tests.
    fn is_compiled(&self, attributes: &[Attribute]) -> bool {
        let conditions = attributes.iter().filter(|each| each.path().is_ident("cfg"));
        conditions.map(|each| each.parse_args::<syn::Meta>().unwrap()).all(|meta| self.holds(&meta))
    }

    fn holds(&self, condition: &syn::Meta) -> bool {
        match condition {
            syn::Meta::Path(path) => !path.is_ident("test"),
            syn::Meta::NameValue(pair) => {
                let value = quote_free(&pair.value);
                let apart = match self.extent {
                    Extent::Crate => ["failpoints", "port", "testing"].as_slice(),
                    Extent::Testing => &["failpoints"],
                };
                !pair.path.is_ident("feature") || !apart.contains(&value.as_str())
            }
            syn::Meta::List(list) => {
                let parts = list.parse_args_with(
                    syn::punctuated::Punctuated::<syn::Meta, syn::Token![,]>::parse_terminated,
                );
                let parts = parts.unwrap();
                match list.path.get_ident().unwrap().to_string().as_str() {
                    "not" => !parts.iter().all(|part| self.holds(part)),
                    "any" => parts.iter().any(|part| self.holds(part)),
                    _ => parts.iter().all(|part| self.holds(part)),
                }
            }
        }
    }

    fn list_module(&self, name: &Name, shown: &str, listing: &mut Listing) {
        for (at, item) in self.items(name).iter().enumerate() {
            if let Item::Use(item) = item
                && !is_hidden(&item.attrs)
                && matches!(item.vis, Visibility::Public(_))
            {
                for import in imports(&item.tree, is_public(&item.vis)) {
                    self.list_import(name, &import, shown, listing);
                }
            } else if let Some((word, vis)) = declared(item)
                && is_public(vis)
                && !is_hidden(attributes(item))
            {
                let target = self.target(name, at, &word);
                self.list(&target, &format!("{shown}::{word}"), listing);
            }
        }
    }

    fn list_import(&self, from: &Name, import: &Import, shown: &str, listing: &mut Listing) {
        let targets = self.find_path(from, &import.path, &mut BTreeSet::new());
        if let Some(word) = &import.name {
            // Of another crate: it is in the list without its items.
            listing.lines.insert(format!("{shown}::{word}"));
            for target in targets {
                self.list(&target, &format!("{shown}::{word}"), listing);
            }
        } else {
            for target in targets {
                let Target::Module(name) = target else { panic!("a glob of {:?}", import.path) };
                self.list_module(&name, shown, listing);
            }
        }
    }

    fn list(&self, target: &Target, shown: &str, listing: &mut Listing) {
        listing.lines.insert(shown.to_owned());
        if !listing.seen.insert(target.clone()) {
            return;
        }
        let (module, at, word) = match target {
            Target::Module(name) => return self.list_module(name, shown, listing),
            Target::Item(module, at, word) => (module, *at, word),
        };
        let mut members = Vec::new();
        match self.items(module).get(at).expect("an item that was found") {
            Item::Struct(item) => members.extend(fields(&item.fields, false)),
            Item::Enum(item) => {
                for variant in item.variants.iter().filter(|each| !is_hidden(&each.attrs)) {
                    members.push(variant.ident.to_string());
                    let inner = fields(&variant.fields, true).into_iter();
                    members.extend(inner.map(|field| format!("{}::{field}", variant.ident)));
                }
            }
            Item::Trait(item) => members.extend(item.items.iter().filter_map(trait_item)),
            Item::Macro(item) => members.extend(self.of_macro(module, item)),
            _ => {}
        }
        members.extend(self.associated(target, word));
        listing.lines.extend(members.into_iter().map(|member| format!("{shown}::{member}")));
    }

    /// The public items of the inherent impls of a type.
    fn associated(&self, target: &Target, word: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (module, items) in &self.modules {
            for item in items {
                let Item::Impl(item) = item else { continue };
                let syn::Type::Path(of) = &*item.self_ty else { continue };
                let path: Name =
                    of.path.segments.iter().map(|part| part.ident.to_string()).collect();
                if item.trait_.is_none()
                    && path.last().is_some_and(|last| last == word)
                    && self.find_path(module, &path, &mut BTreeSet::new()).contains(target)
                {
                    found.extend(item.items.iter().filter_map(|each| self.inherent(each)));
                }
            }
        }
        found
    }

    fn inherent(&self, item: &ImplItem) -> Option<String> {
        let (name, vis, attributes) = match item {
            ImplItem::Fn(item) => (&item.sig.ident, &item.vis, &item.attrs),
            ImplItem::Const(item) => (&item.ident, &item.vis, &item.attrs),
            _ => return None,
        };
        let shown = is_public(vis) && !is_hidden(attributes) && self.is_compiled(attributes);
        shown.then(|| name.to_string())
    }

    /// The public functions in the text of the macro that declares a type.
    fn of_macro(&self, module: &Name, call: &syn::ItemMacro) -> Vec<String> {
        let rules = self.items(module).iter().find_map(|item| match item {
            Item::Macro(rules) if rules.ident.as_ref() == call.mac.path.get_ident() => {
                Some(rules.mac.tokens.to_string())
            }
            _ => None,
        });
        let rules = rules.unwrap_or_default();
        let words = rules.split_whitespace().filter(|word| !matches!(*word, "const" | "async"));
        let words: Vec<&str> = words.collect();
        let functions = words.windows(4).filter_map(|four| match four {
            ["(hidden)]", ..] => None,
            [_, "pub", "fn", name] => Some((*name).to_owned()),
            _ => None,
        });
        functions.collect()
    }

    fn items(&self, module: &Name) -> &[Item] {
        self.modules.get(module).map_or(&[], Vec::as_slice)
    }

    fn target(&self, module: &Name, at: usize, word: &str) -> Target {
        match self.items(module).get(at) {
            Some(Item::Mod(_)) => Target::Module(below(module, word)),
            _ => Target::Item(module.clone(), at, word.to_owned()),
        }
    }

    /// What a path leads to from a module; nothing for paths into other crates.
    fn find_path(&self, from: &Name, path: &[String], open: &mut BTreeSet<Name>) -> Vec<Target> {
        let mut at = vec![Target::Module(from.clone())];
        for (step, word) in path.iter().enumerate() {
            let mut next = Vec::new();
            for target in at {
                let Target::Module(name) = target else { continue };
                match word.as_str() {
                    "crate" => next.push(Target::Module(Vec::new())),
                    "self" if step == 0 => next.push(Target::Module(name)),
                    "super" => next.push(Target::Module(above(&name))),
                    word => next.extend(self.find(&name, word, open)),
                }
            }
            at = next;
        }
        at
    }

    /// What a name means in a module.
    fn find(&self, module: &Name, word: &str, open: &mut BTreeSet<Name>) -> Vec<Target> {
        let asked = below(module, word);
        if !open.insert(asked.clone()) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (at, item) in self.items(module).iter().enumerate() {
            match item {
                Item::Use(item) => {
                    for import in imports(&item.tree, is_public(&item.vis)) {
                        if import.name.as_deref() == Some(word) {
                            found.extend(self.find_path(module, &import.path, open));
                        } else if import.name.is_none() && import.is_public {
                            let path = below(&import.path, word);
                            found.extend(self.find_path(module, &path, open));
                        }
                    }
                }
                Item::Macro(item) if item.ident.is_none() && declares(item, word) => {
                    found.push(Target::Item(module.clone(), at, word.to_owned()));
                }
                item if declared(item).is_some_and(|(name, _)| name == word) => {
                    found.push(self.target(module, at, word));
                }
                _ => {}
            }
        }
        open.remove(&asked);
        found
    }
}

fn below(name: &[String], word: &str) -> Name {
    [name, &[word.to_owned()]].concat()
}

fn above(name: &[String]) -> Name {
    name.split_last().map_or_else(Vec::new, |(_, above)| above.to_vec())
}

/// Whether a call of a macro, such as `id!(SessionId, 16)`, declares a type of this name.
fn declares(item: &syn::ItemMacro, word: &str) -> bool {
    let tokens = item.mac.tokens.to_string();
    let words: Vec<&str> = tokens.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let typed =
        words.windows(2).any(|pair| matches!(pair, ["struct" | "enum", name] if *name == word));
    typed || (!words.contains(&"struct") && !words.contains(&"enum") && words.contains(&word))
}

/// The text of a literal.
fn quote_free(value: &syn::Expr) -> String {
    match value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => text.value(),
        _ => String::new(),
    }
}

/// What an example names of the crate that is not in the list. The compiler would let it: examples
/// are built with the feature `testing`.
pub(crate) fn strangers(source: &Source, listed: &BTreeSet<String>) -> Vec<Breach> {
    let named = paths(&source.code, "callgate").into_iter();
    named
        .filter(|named| {
            let path = named.segments.join("::");
            !listed.contains(path.trim_end_matches("::*"))
        })
        .map(|named| {
            source.breach(named.at, format!("{} is not public", named.segments.join("::")))
        })
        .collect()
}

fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    let of_docs = attributes.iter().filter(|each| each.path().is_ident("doc"));
    of_docs.filter_map(|each| each.parse_args::<syn::Ident>().ok()).any(|word| word == "hidden")
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn declared(item: &Item) -> Option<(String, &Visibility)> {
    let (name, vis) = match item {
        Item::Const(item) => (&item.ident, &item.vis),
        Item::Enum(item) => (&item.ident, &item.vis),
        Item::Fn(item) => (&item.sig.ident, &item.vis),
        Item::Mod(item) => (&item.ident, &item.vis),
        Item::Static(item) => (&item.ident, &item.vis),
        Item::Struct(item) => (&item.ident, &item.vis),
        Item::Trait(item) => (&item.ident, &item.vis),
        Item::Type(item) => (&item.ident, &item.vis),
        _ => return None,
    };
    Some((name.to_string(), vis))
}

fn imports(tree: &UseTree, is_public: bool) -> Vec<Import> {
    let one = |path: Name, name: Option<String>| vec![Import { path, name, is_public }];
    match tree {
        UseTree::Path(tree) => {
            let mut below = imports(&tree.tree, is_public);
            for import in &mut below {
                import.path.insert(0, tree.ident.to_string());
                // `use a::b::{self}` names `b`.
                if import.path.last().is_some_and(|last| last == "self") && import.path.len() > 1 {
                    import.path.pop();
                    import.name = import.path.last().cloned();
                }
            }
            below
        }
        UseTree::Name(tree) => one(vec![tree.ident.to_string()], Some(tree.ident.to_string())),
        UseTree::Rename(tree) => one(vec![tree.ident.to_string()], Some(tree.rename.to_string())),
        UseTree::Glob(_) => one(Vec::new(), None),
        UseTree::Group(tree) => {
            tree.items.iter().flat_map(|inner| imports(inner, is_public)).collect()
        }
    }
}

/// The named public fields, or all of them in a variant; `0`, `1` … of a tuple.
fn fields(fields: &Fields, of_variant: bool) -> Vec<String> {
    let shown =
        |field: &&syn::Field| is_public(&field.vis) || (of_variant && field.ident.is_some());
    let name = |(at, field): (usize, &syn::Field)| match &field.ident {
        Some(name) => name.to_string(),
        None => at.to_string(),
    };
    fields.iter().enumerate().filter(|(_, field)| shown(field)).map(name).collect()
}

fn trait_item(item: &TraitItem) -> Option<String> {
    match item {
        TraitItem::Fn(item) => Some(item.sig.ident.to_string()),
        TraitItem::Const(item) => Some(item.ident.to_string()),
        TraitItem::Type(item) => Some(item.ident.to_string()),
        _ => None,
    }
}
