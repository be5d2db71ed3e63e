package docker

import (
	"maps"
	"path"
	"slices"
	"strconv"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

const (
	// pidsLimit bounds the processes and threads of a container, so that a fork
	// bomb ends in its own container. Far above what a service needs.
	pidsLimit int64 = 4096
	// publishAddress is where container ports are published: reachable from this
	// machine only. What the outside may reach is decided elsewhere.
	publishAddress = "127.0.0.1"
	// tmpfsOptions give a writable place to any user, whatever the image holds there.
	tmpfsOptions = "rw,noexec,nosuid,nodev,mode=1777"
)

// Variables that tell a process where it runs. A definition that sets them itself wins.
const (
	envEnvironment = "WEDSYNC_ENVIRONMENT"
	envService     = "WEDSYNC_SERVICE"
	envInstance    = "WEDSYNC_INSTANCE"
)

// engineNetwork is a network as the engine knows it.
type engineNetwork struct {
	ID   string
	Name string
}

// containerLabels are the definition's own labels under ours, which win.
func containerLabels(spec fleet.ContainerSpec, installation string, primary engineNetwork) map[string]string {
	labels := map[string]string{}
	maps.Copy(labels, spec.Spec.Runtime.Labels)
	maps.Copy(labels, map[string]string{
		fleet.LabelService:      spec.Spec.ServiceName,
		fleet.LabelEnvironment:  spec.Instance.Environment,
		fleet.LabelDefinition:   spec.Instance.DefinitionID,
		fleet.LabelReplica:      strconv.Itoa(spec.Instance.Replica),
		fleet.LabelInstance:     spec.Instance.ID,
		fleet.LabelDeployment:   spec.Instance.DeploymentID,
		fleet.LabelEpoch:        strconv.FormatInt(spec.Epoch, 10),
		fleet.LabelInstallation: installation,
		// On a container this names the network that gives it its address, in the
		// engine's words: a container may have several.
		fleet.LabelNetwork: primary.Name,
	})
	return labels
}

// containerConfig is the part of the specification that does not depend on the machine.
func containerConfig(spec fleet.ContainerSpec, installation string, primary engineNetwork) *container.Config {
	run := spec.Spec.Runtime
	c := &container.Config{
		Image:        spec.Instance.ImageDigest,
		Env:          environment(spec),
		Labels:       containerLabels(spec, installation, primary),
		ExposedPorts: nat.PortSet{},
		User:         run.User,
		Entrypoint:   run.Entrypoint,
		Cmd:          run.Command,
		Healthcheck:  imageCheck(spec.Spec.HealthCheck),
	}
	for _, port := range spec.Spec.Network.Ports {
		c.ExposedPorts[tcp(port)] = struct{}{}
	}
	for port := range spec.Instance.Ports {
		c.ExposedPorts[tcp(port)] = struct{}{}
	}
	if run.StopTimeout > 0 {
		c.StopTimeout = &run.StopTimeout
	}
	return c
}

// imageCheck turns the image's own HEALTHCHECK off, unless the definition goes by
// it: nobody would read its verdict.
func imageCheck(check *fleet.HealthCheck) *container.HealthConfig {
	if check != nil && check.Kind() == grammar.HealthImage {
		return nil
	}
	return &container.HealthConfig{Test: []string{"NONE"}}
}

// hostConfig is limits, mounts, ports and everything else that the machine enforces.
func hostConfig(spec fleet.ContainerSpec, installation string, primary engineNetwork) *container.HostConfig {
	run, memory, pids := spec.Spec.Runtime, spec.Spec.Resources.MemoryBytes(), pidsLimit
	dns := mergeDNS(spec.Networks)
	h := &container.HostConfig{
		NetworkMode:  container.NetworkMode(primary.ID),
		PortBindings: portBindings(spec.Instance.Ports),
		// wedsyncd restarts what exits, with back-off and crash-loop verdicts that
		// are stored; an engine that restarted too would hide exits from it.
		RestartPolicy:  container.RestartPolicy{Name: container.RestartPolicyDisabled},
		LogConfig:      logConfig(run),
		SecurityOpt:    []string{"no-new-privileges:true"},
		ReadonlyRootfs: run.ReadOnlyRootFilesystem,
		Tmpfs:          tmpfs(run.Tmpfs),
		Mounts:         mounts(spec.Spec.Volumes, installation),
		DNS:            dns.Servers,
		DNSSearch:      dns.Search,
		DNSOptions:     dns.Options,
		Resources: container.Resources{
			NanoCPUs: spec.Spec.Resources.NanoCPUs(),
			Memory:   memory,
			// Equal to Memory means no swap beyond it: the limit is the real one.
			MemorySwap: memory,
			PidsLimit:  &pids,
		},
	}
	if size := spec.Spec.Resources.StorageBytes(); size > 0 {
		h.StorageOpt = map[string]string{"size": strconv.FormatInt(size, 10)}
	}
	return h
}

// networkingConfig joins the first network at creation. The others are connected
// before the start: engines before API 1.44 take only one here.
func networkingConfig(spec fleet.ContainerSpec, primary engineNetwork) *network.NetworkingConfig {
	return &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
		primary.Name: endpoint(spec),
	}}
}

// endpoint makes the instance known on a network by its service's name.
func endpoint(spec fleet.ContainerSpec) *network.EndpointSettings {
	return &network.EndpointSettings{Aliases: []string{spec.Spec.ServiceName}}
}

func environment(spec fleet.ContainerSpec) []string {
	values := map[string]string{
		envEnvironment: spec.Instance.Environment,
		envService:     spec.Spec.ServiceName,
		envInstance:    spec.Instance.ID,
	}
	maps.Copy(values, spec.Spec.Environment)
	lines := make([]string, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		lines = append(lines, name+"="+values[name])
	}
	return lines
}

func tcp(port int) nat.Port { return nat.Port(strconv.Itoa(port) + "/tcp") }

func portBindings(ports map[int]int) nat.PortMap {
	bindings := nat.PortMap{}
	for inside, outside := range ports {
		bindings[tcp(inside)] = []nat.PortBinding{{HostIP: publishAddress, HostPort: strconv.Itoa(outside)}}
	}
	return bindings
}

func logConfig(run fleet.RuntimeConfig) container.LogConfig {
	size, files := run.LogMaxBytes(), run.LogMaxFiles
	if size <= 0 {
		size, _ = grammar.Bytes(fleet.DefaultLogMaxSize)
	}
	if files <= 0 {
		files = fleet.DefaultLogMaxFiles
	}
	// Only this driver can both rotate and be read back by every engine version.
	return container.LogConfig{Type: "json-file", Config: map[string]string{
		"max-size": strconv.FormatInt(size, 10),
		"max-file": strconv.Itoa(files),
	}}
}

func tmpfs(paths []string) map[string]string {
	if len(paths) == 0 {
		return nil
	}
	m := make(map[string]string, len(paths))
	for _, p := range paths {
		m[p] = tmpfsOptions
	}
	return m
}

// mounts binds absolute sources, which must exist, and makes the rest volumes of
// the engine. A volume that has to be created gets the installation's label; it
// outlives the container, as data should.
func mounts(volumes []fleet.VolumeMount, installation string) []mount.Mount {
	if len(volumes) == 0 {
		return nil
	}
	list := make([]mount.Mount, 0, len(volumes))
	for _, v := range volumes {
		m := mount.Mount{Type: mount.TypeBind, Source: v.Source, Target: v.Target, ReadOnly: v.ReadOnly}
		if !path.IsAbs(v.Source) {
			m.Type = mount.TypeVolume
			m.VolumeOptions = &mount.VolumeOptions{Labels: map[string]string{fleet.LabelInstallation: installation}}
		}
		list = append(list, m)
	}
	return list
}

// mergeDNS joins the settings of all networks in their order, each value once.
func mergeDNS(networks []fleet.Network) fleet.DNSConfig {
	var d fleet.DNSConfig
	for _, n := range networks {
		d.Servers = appendNew(d.Servers, n.DNS.Servers)
		d.Search = appendNew(d.Search, n.DNS.Search)
		d.Options = appendNew(d.Options, n.DNS.Options)
	}
	return d
}

func appendNew(list, more []string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// checkIsolation refuses a specification that would put an instance onto a
// network of another environment, or names no environment.
func checkIsolation(spec fleet.ContainerSpec) error {
	if spec.Instance.Environment == "" {
		return fleet.Errorf(fleet.ErrRefused, "instance %s belongs to no environment", spec.Instance.Name)
	}
	for _, n := range spec.Networks {
		if n.Environment != spec.Instance.Environment {
			return fleet.FieldErrorf(fleet.ErrRefused, "network_config",
				"network %s belongs to environment %s; instance %s runs in %s and may join only networks of its own environment",
				n.Name, n.Environment, spec.Instance.Name, spec.Instance.Environment)
		}
	}
	return nil
}
