package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv/machine"
)

// labelInstallation is the label on everything that one wedsyncd made in the Engine.
const labelInstallation = "wedsync.installation"

// noteInstallation records the label of our containers, so that they can be
// found and removed even without wedsyncd.
func (d *demo) noteInstallation(ctx context.Context) error {
	instances, err := d.instances(ctx)
	if err != nil {
		return err
	}
	for _, i := range instances {
		if i.ContainerID == "" {
			continue
		}
		installation, err := machine.ContainerLabel(ctx, d.engine, i.ContainerID, labelInstallation)
		if err != nil || installation == d.Installation {
			return err
		}
		d.Installation = installation
		return d.save()
	}
	return nil
}

// instances lists everything that runs, or should.
func (d *demo) instances(ctx context.Context) ([]api.Instance, error) {
	c, err := d.client()
	if err != nil {
		return nil, err
	}
	var instances []api.Instance
	for i, err := range c.AllInstances(ctx, api.ListInstancesOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("list instances: %w", err)
		}
		instances = append(instances, i)
	}
	slices.SortFunc(instances, func(a, b api.Instance) int {
		return cmp.Or(cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.ServiceName, b.ServiceName), cmp.Compare(a.ReplicaNumber, b.ReplicaNumber))
	})
	return instances, nil
}

// show prints what runs and where to look at it.
func (d *demo) show(ctx context.Context) error {
	instances, err := d.instances(ctx)
	if err != nil {
		return err
	}
	d.steps.say("")
	table := tabwriter.NewWriter(d.steps.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  ENVIRONMENT\tSERVICE\tSTATUS\tHEALTH\tURL\tCONTAINER")
	url := ""
	for _, i := range instances {
		address := "-"
		for _, port := range i.PortMappings {
			address = fmt.Sprintf("http://127.0.0.1:%d/", port)
			url = cmp.Or(url, address+"health")
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\t%s\n", i.Environment, i.ServiceName, i.CurrentStatus, i.HealthStatus, address, i.InstanceName)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print table: %w", err)
	}
	d.steps.say("\nLook at it:")
	d.steps.say("  curl %s", url)
	if len(instances) > 0 {
		d.steps.say("  curl -H 'Host: %s.%s.localhost' http://%s/   # by way of the balancer", instances[0].ServiceName, instances[0].Environment, d.TrafficListen)
	}
	d.steps.say("  %sdocker ps --filter label=%s=%s", d.dockerHost(), labelInstallation, d.Installation)
	d.steps.say("  curl -H \"Authorization: Bearer $(cat %s)\" %s/api/containers/deployments", d.tokenFile(), d.endpoint())
	d.steps.say("  %s -c 'SELECT environment, instance_name, current_status, health_status FROM container_instances'", d.psql())
	d.steps.say("  less %s", d.daemonLog())
	return nil
}

// dockerHost is what a shell must put before "docker", nothing where that is the default.
func (d *demo) dockerHost() string {
	if d.engine == machine.EngineHost() {
		return ""
	}
	return "DOCKER_HOST=" + d.engine + " "
}
