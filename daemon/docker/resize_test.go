package docker

import (
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

func TestResizeContainer(t *testing.T) {
	e := newEngine(t)
	id := run(t, e, demo(t, e, "staging"))
	before := inspect(t, e, id)
	for _, r := range []fleet.Resources{{CPU: "250m", Memory: "96Mi"}, {CPU: "750m", Memory: "192Mi"}, {CPU: "300m", Memory: "64Mi"}} {
		for range 2 {
			if err := e.ResizeContainer(t.Context(), id, r); err != nil {
				t.Fatal(err)
			}
		}
		raw, err := e.client.ContainerInspect(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if h := raw.HostConfig; h.NanoCPUs != r.NanoCPUs() || h.Memory != r.MemoryBytes() || h.MemorySwap != r.MemoryBytes() {
			t.Errorf("%+v: the engine has cpu %d, memory %d, swap %d", r, h.NanoCPUs, h.Memory, h.MemorySwap)
		}
	}
	if after := inspect(t, e, id); !after.StartedAt.Equal(before.StartedAt) || after.State != fleet.ContainerRunning {
		t.Errorf("started %s before, %s after: %s", before.StartedAt, after.StartedAt, after.State)
	}
	wantKind(t, e.ResizeContainer(t.Context(), "0123456789ab", fleet.Resources{CPU: "1", Memory: "64Mi"}), fleet.ErrNotFound)
}
