// Package testenv gives tests the real things: a Postgres server, a Docker
// Engine, a registry, images built on the spot, and the OpenTofu and Terraform
// programs. Command run beside it starts what a machine lacks once for a whole
// "go test" run and announces it in WEDSYNC_TEST_POSTGRES_URL and DOCKER_HOST; a
// test that is run alone starts a Postgres itself and needs an Engine that answers.
package testenv
