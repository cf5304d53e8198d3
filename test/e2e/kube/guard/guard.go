// Package guard ends a cluster for good: its processes, its mounts, its loop
// devices, its directory, and what its kubelet changed elsewhere.
//
// A guard is a process in a session of its own that reads its standard input,
// a pipe whose other end belongs to the process that started the cluster. The
// pipe is at its end when that process closes it or dies, in whatever way, and
// then the guard does its work and exits. So a cluster ends with its test also
// when the test is interrupted, crashes or is killed.
//
// A process belongs to a cluster when its environment, as it was when the
// process started, holds the variable Variable with the cluster's directory.
// Children inherit it, so nobody has to keep a list, there is no moment at
// which a process is started and not yet listed, and a process identifier that
// was used again is never taken for what it was.
package guard

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// Variable is the environment variable whose value, the directory of a
	// cluster, says that a process belongs to that cluster.
	Variable = "KUBE_GUARD_DIR"

	// Ready is the line on the guard's standard output that says that it is on
	// guard: from then on the cluster may be started.
	Ready = "ready"

	// Keep is the line on the guard's standard input that makes it leave the
	// directory in place, for somebody to read the logs.
	Keep = "keep"

	// deadline is how long a guard tries before it gives up and says what is
	// left.
	deadline = 30 * time.Second

	// pause is the time between two tries.
	pause = 20 * time.Millisecond
)

// Main is the guard of a cluster's directory. args are the part's name and the
// directory, an absolute path without symbolic links. It returns when the
// standard input is at its end and the cluster is gone: 0, or 1 when something
// could not be removed, which standard error names. In that case the directory
// is left as it is.
func Main(args []string) int {
	logger := log.New(os.Stderr, "guard: ", log.LstdFlags)
	if len(args) != 2 || !filepath.IsAbs(args[1]) || filepath.Clean(args[1]) == "/" {
		logger.Printf("usage: %s ABSOLUTE-DIRECTORY", args[0])
		return 2
	}
	// Only the end of the input ends a guard: Ctrl-C in the terminal, or a
	// closed standard error, must not keep it from its work.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	before := remember()
	fmt.Println(Ready)
	keep := await(os.Stdin)

	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	err := end(ctx, filepath.Clean(args[1]), keep)
	if err := errors.Join(err, before.restore()); err != nil {
		logger.Print(err)
		return 1
	}
	return 0
}

// await reads until the end of the input, and reports whether Keep was asked
// for. A broken pipe is an end like any other.
func await(input io.Reader) (keep bool) {
	for lines := bufio.NewScanner(input); lines.Scan(); {
		if lines.Text() == Keep {
			keep = true
		}
	}
	return keep
}

// end removes what belongs to the cluster in dir, in the order in which the
// one holds the other.
func end(ctx context.Context, dir string, keep bool) error {
	steps := []func(string) error{killProcesses, unmount, detachLoops}
	for _, step := range steps {
		if err := retry(ctx, func() error { return step(dir) }); err != nil {
			return fmt.Errorf("ending the cluster in %q: %w", dir, err)
		}
	}
	if keep {
		return nil
	}
	if err := retry(ctx, func() error { return os.RemoveAll(dir) }); err != nil {
		return fmt.Errorf("removing the cluster's directory: %w", err)
	}
	return nil
}

// retry repeats a step until it finds nothing more to do, or the context ends.
func retry(ctx context.Context, step func() error) error {
	for {
		err := step()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// below reports whether path is dir or lies in it.
func below(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}
