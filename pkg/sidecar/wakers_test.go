package sidecar

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wiring is what the program's source says about waiting: the dependencies that keys
// can wait for, as "package.Constructor", and those that something wakes.
type wiring struct{ waits, wakes map[string]bool }

// read adds what a file says.
func (w wiring) read(file *ast.File) {
	imports := map[string]string{}
	for _, spec := range file.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imports[name] = path.Base(imported)
	}
	for _, declaration := range file.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && returnsDependency(f) {
			w.waits[file.Name.Name+"."+f.Name.Name] = true
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			return true
		}
		if method, ok := call.Fun.(*ast.SelectorExpr); !ok || method.Sel.Name != "Wake" {
			return true
		}
		made, ok := call.Args[0].(*ast.CallExpr)
		if !ok {
			return true
		}
		switch constructor := made.Fun.(type) {
		case *ast.Ident:
			w.wakes[file.Name.Name+"."+constructor.Name] = true
		case *ast.SelectorExpr:
			if from, ok := constructor.X.(*ast.Ident); ok {
				w.wakes[imports[from.Name]+"."+constructor.Sel.Name] = true
			}
		}
		return true
	})
}

// returnsDependency tells whether a function makes one controller.Dependency.
func returnsDependency(f *ast.FuncDecl) bool {
	results := f.Type.Results
	if results == nil || len(results.List) != 1 {
		return false
	}
	return isDependency(results.List[0].Type)
}

// unwoken returns the dependencies that nothing wakes.
func (w wiring) unwoken() []string {
	var missing []string
	for wait := range w.waits {
		if !w.wakes[wait] {
			missing = append(missing, wait)
		}
	}
	return slices.Sorted(slices.Values(missing))
}

func newWiring() wiring { return wiring{map[string]bool{}, map[string]bool{}} }

// TestEveryWaitHasAWaker: whatever a key may wait for (controller.Result.WaitFor),
// something in the program wakes it.
func TestEveryWaitHasAWaker(t *testing.T) {
	w, literals := newWiring(), []string(nil)
	for _, pattern := range []string{"*.go", "../controller/*.go", "../controller/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			w.read(file)
			literals = append(literals, strays(file)...)
		}
	}
	if missing := w.unwoken(); len(missing) > 0 {
		t.Errorf("keys may wait for %q, which nothing wakes", missing)
	}
	if len(literals) > 0 {
		t.Errorf("dependencies are made outside of a constructor, so that this test does not see them, in %q", literals)
	}
	if want := "controller.Detached"; len(w.waits) < 10 || !w.waits[want] {
		t.Errorf("found are only %q", slices.Sorted(maps.Keys(w.waits)))
	}
}

// strays are the functions that make a controller.Dependency without being a
// constructor of one.
func strays(file *ast.File) []string {
	var found []string
	for _, declaration := range file.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if !ok || returnsDependency(f) {
			continue
		}
		ast.Inspect(f, func(node ast.Node) bool {
			literal, ok := node.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if isDependency(literal.Type) {
				found = append(found, file.Name.Name+"."+f.Name.Name)
			}
			if array, ok := literal.Type.(*ast.ArrayType); ok && isDependency(array.Elt) {
				for _, element := range literal.Elts {
					if _, bare := element.(*ast.CompositeLit); bare {
						found = append(found, file.Name.Name+"."+f.Name.Name)
					}
				}
			}
			return true
		})
	}
	return found
}

func isDependency(kind ast.Expr) bool {
	switch kind := kind.(type) {
	case *ast.SelectorExpr:
		return kind.Sel.Name == "Dependency"
	case *ast.Ident: // in the package itself
		return kind.Name == "Dependency"
	}
	return false
}

// What the test above looks for, it finds.
func TestWiringIsRead(t *testing.T) {
	w := newWiring()
	var found []string
	for _, source := range []string{
		`package expand
		func Forgotten(name string) controller.Dependency { return controller.Dependency{Kind: "X"} }
		func Woken() controller.Dependency { return controller.Dependency{Kind: "Y"} }
		func Own() controller.Dependency { return controller.Dependency{Kind: "Z"} }
		func (c *Controller) wake() { c.engine.Wake(Own()) }
		func stray() { use(controller.Dependency{Kind: "A"}) }
		func bare() { use([]controller.Dependency{{Kind: "B"}}) }
		func fine() { use([]controller.Dependency{Own()}) }`,
		`package sidecar
		import expansion "example.com/pkg/controller/expand"
		func (p *part) changed() { p.queue.Wake(expansion.Woken()) }`,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		w.read(file)
		found = append(found, strays(file)...)
	}
	if diff := cmp.Diff([]string{"expand.Forgotten"}, w.unwoken()) + cmp.Diff([]string{"expand.stray", "expand.bare"}, found); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
