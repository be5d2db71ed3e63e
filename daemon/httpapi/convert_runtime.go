package httpapi

import (
	"slices"
	"strconv"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Conversions of what the daemon makes and clients only read.

func instanceToAPI(i fleet.Instance) api.Instance {
	ports := make(map[string]int, len(i.Ports))
	for container, host := range i.Ports {
		ports[strconv.Itoa(container)] = host
	}
	return api.Instance{
		ID:              i.ID,
		DefinitionID:    i.DefinitionID,
		DefinitionName:  i.DefinitionName,
		DeploymentID:    i.DeploymentID,
		ServiceName:     i.ServiceName,
		Environment:     i.Environment,
		ContainerID:     i.ContainerID,
		InstanceName:    i.Name,
		ImageTag:        i.ImageTag,
		ImageDigest:     i.ImageDigest,
		CurrentStatus:   string(i.Current),
		DesiredStatus:   string(i.Desired),
		ReplicaNumber:   i.Replica,
		NodeName:        i.Node,
		IPAddress:       i.IPAddress,
		PortMappings:    ports,
		ResourceLimits:  optional(i.Limits, resourcesToAPI),
		ResourceUsage:   api.ResourceUsage{CPUPercent: i.Usage.CPUPercent, MemoryMB: i.Usage.MemoryMB, DiskMB: i.Usage.DiskMB},
		HealthStatus:    string(i.Health),
		LastHealthCheck: i.LastCheck,
		HealthySince:    i.HealthySince,
		UnhealthySince:  i.UnhealthySince,
		DrainingSince:   i.DrainingSince,
		RestartCount:    i.Restarts,
		ExitCode:        i.ExitCode,
		ErrorMessage:    i.Error,
		StartedAt:       i.StartedAt,
		StoppedAt:       i.StoppedAt,
		CreatedAt:       i.CreatedAt,
		UpdatedAt:       i.UpdatedAt,
	}
}

func deploymentToAPI(d fleet.Deployment) api.Deployment {
	return api.Deployment{
		ID:                 d.ID,
		DefinitionID:       d.DefinitionID,
		DefinitionName:     d.DefinitionName,
		DefinitionRevision: d.DefinitionRevision,
		Environment:        d.Environment,
		DeploymentType:     string(d.Type),
		ImageTag:           d.ImageTag,
		ImageDigest:        d.ImageDigest,
		InstancesBefore:    d.Before,
		InstancesAfter:     d.After,
		DeploymentStatus:   string(d.Status),
		DeploymentStrategy: string(d.Strategy),
		RolloutConfig:      rolloutToAPI(d.Rollout),
		TrafficWeight:      d.State.Weight,
		IsPaused:           d.State.PausedAt != nil,
		IsLive:             d.Live,
		IsRemoval:          d.Removal,
		RollbackTargetID:   d.RollbackTargetID,
		RollbackOfID:       d.RollbackOfID,
		RollbackID:         d.RollbackID,
		SupersedesID:       d.SupersedesID,
		SupersededByID:     d.SupersededByID,
		StartedBy:          d.StartedBy,
		StartedAt:          d.StartedAt,
		CompletedAt:        d.CompletedAt,
		DeploymentNotes:    d.Notes,
		Errors:             list(d.Errors, deploymentErrorToAPI),
	}
}

func deploymentErrorToAPI(e fleet.DeploymentError) api.DeploymentError {
	return api.DeploymentError{
		InstanceID:   e.InstanceID,
		InstanceName: e.InstanceName,
		Step:         e.Step,
		Message:      e.Message,
		ExitCode:     e.ExitCode,
		HealthOutput: e.HealthOutput,
		LogTail:      slices.Clone(e.LogTail),
	}
}

func deploymentStatusToAPI(d fleet.Deployment, instances []fleet.Instance) api.DeploymentStatusResponse {
	return api.DeploymentStatusResponse{Deployment: api.DeploymentStatus{
		ID:         d.ID,
		Status:     string(d.Status),
		RollbackID: d.RollbackID,
		Progress: api.DeploymentProgress{
			TotalSteps:     d.TotalSteps,
			CompletedSteps: d.CompletedSteps,
			CurrentStep:    d.CurrentStep,
			Errors:         list(d.Errors, func(e fleet.DeploymentError) string { return deploymentErrorToAPI(e).String() }),
		},
		Instances: list(instances, instanceProgressToAPI),
	}}
}

func instanceProgressToAPI(i fleet.Instance) api.InstanceProgress {
	return api.InstanceProgress{
		InstanceID:   i.ID,
		Status:       string(i.Current),
		HealthStatus: string(i.Health),
		StartedAt:    i.StartedAt,
	}
}

func eventToAPI(e fleet.Event) api.Event {
	return api.Event{
		ID:           e.ID,
		InstanceID:   e.InstanceID,
		DefinitionID: e.DefinitionID,
		DeploymentID: e.DeploymentID,
		NetworkID:    e.NetworkID,
		Environment:  e.Environment,
		EventType:    e.Type,
		EventSource:  e.Source,
		EventData:    filled(e.Data),
		ErrorMessage: e.Error,
		UserID:       e.UserID,
		UserName:     e.UserName,
		Timestamp:    e.Timestamp,
	}
}

func logLineToAPI(l fleet.LogLine) api.LogEntry {
	return api.LogEntry{
		Timestamp: l.Timestamp,
		Level:     levelOf(l),
		Message:   l.Message,
		Source:    l.Source,
	}
}
