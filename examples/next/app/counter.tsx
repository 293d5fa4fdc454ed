"use client";

import { createRivetKit } from "@stagedoor/react";
import { useEffect, useState } from "react";
import type { registry } from "./registry";

// Without endpoint: /api/rivet of the page's origin, which tells where the gateway is.
const { useActor } = createRivetKit<typeof registry>();

export function Counter() {
  const [count, setCount] = useState<number>();
  const { connection, isConnected, error, useEvent } = useActor({ name: "counter", key: ["page"] });
  useEvent("count", setCount);
  useEffect(() => {
    if (isConnected) void connection?.read().then(setCount);
  }, [connection, isConnected]);
  return (
    <>
      <button disabled={!isConnected} onClick={() => void connection?.increment(1)}>
        {count ?? "…"}
      </button>
      {error && <p role="alert">{error.message}</p>}
    </>
  );
}
