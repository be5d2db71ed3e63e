// Terraform-provider-wedsync is the Terraform provider of wedsyncd.
package main

// The documentation under docs/ comes from the schemas and from examples/.
//go:generate go run ./provider/schemajson bin/provider-schema.json
//go:generate tfplugindocs generate --provider-name wedsync --rendered-provider-name WedSync --providers-schema bin/provider-schema.json

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/wedsync/terraform-provider-wedsync/provider"
)

// version is set when a release is built.
var version = "dev"

func main() {
	debug := flag.Bool("debug", false, "serve for a debugger, which attaches before Terraform does")
	flag.Parse()
	err := providerserver.Serve(context.Background(), provider.New(version), providerserver.ServeOpts{
		Address: "registry.terraform.io/wedsync/wedsync",
		Debug:   *debug,
	})
	if err != nil {
		fmt.Fprintf(os.Stderr, "serve provider: %v\n", err)
		os.Exit(1)
	}
}
