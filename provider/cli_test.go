package provider_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
	"github.com/wedsync/terraform-provider-wedsync/provider"
)

// protoV6 serves the provider in this process to the CLI under test.
var protoV6 = map[string]func() (tfprotov6.ProviderServer, error){
	"wedsync": providerserver.NewProtocol6WithError(provider.New("test")()),
}

// eachCLI runs a test with every CLI that the provider supports.
func eachCLI(t *testing.T, test func(t *testing.T)) {
	t.Run("opentofu", func(t *testing.T) {
		isolateCLI(t, testenv.OpenTofu(t))
		t.Setenv("TF_ACC_PROVIDER_HOST", "registry.opentofu.org")
		t.Setenv("TF_ACC_PROVIDER_NAMESPACE", "hashicorp")
		test(t)
	})
	t.Run("terraform", func(t *testing.T) {
		isolateCLI(t, testenv.Terraform(t))
		test(t)
	})
}

// isolateCLI keeps the settings of this machine's user away from the CLI.
func isolateCLI(t *testing.T, binary string) {
	config := filepath.Join(t.TempDir(), "cli.tfrc")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TF_CLI_CONFIG_FILE", config)
	t.Setenv("TF_ACC_TERRAFORM_PATH", binary)
	t.Setenv("CHECKPOINT_DISABLE", "1")
	t.Setenv(provider.EnvEndpoint, "")
	t.Setenv(provider.EnvToken, "")
}

// useDaemon points the provider at a daemon through its environment variables.
func useDaemon(t *testing.T, endpoint, token string) {
	t.Setenv(provider.EnvEndpoint, endpoint)
	t.Setenv(provider.EnvToken, token)
}

// runSteps runs the steps with every CLI, each against a fake daemon of its own.
func runSteps(t *testing.T, steps func(f *fakeDaemon) []resource.TestStep) {
	eachCLI(t, func(t *testing.T) {
		f := startFakeDaemon(t)
		useDaemon(t, f.URL, fakeToken)
		resource.UnitTest(t, resource.TestCase{ProtoV6ProviderFactories: protoV6, Steps: steps(f)})
	})
}
