// Command openapi writes the OpenAPI document of the HTTP API.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/wedsync/terraform-provider-wedsync/daemon/httpapi"
)

func main() {
	out := flag.String("o", "", "file to write; standard output when empty")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	document, err := httpapi.Document()
	if err != nil {
		return fmt.Errorf("make document: %w", err)
	}
	if out == "" {
		_, err = os.Stdout.Write(document)
		return err
	}
	return os.WriteFile(out, document, 0o644)
}
