/**
 * What each role serves beside its own API: `/metrics` in Prometheus' text form, `/livez` (this
 * process answers) and `/readyz` (it does its work; else 503 with the reason). No credential: they
 * show no data and no password. The numbers are collected when asked for.
 */

import { readdirSync, readFileSync } from "node:fs";
import type { Route } from "./http.ts";
import { textAnswer } from "./http.ts";

export interface Metric {
  /** Base units last, counters end in `_total`: `codis_proxy_requests_total`. */
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly samples: readonly Sample[];
}

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Health {
  /** Why the role cannot do its work now; undefined when it can. */
  notReady(): string | undefined;
  metrics(): Promise<readonly Metric[]>;
}

const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** The three routes of a role. */
export function healthRoutes(health: Health): Route[] {
  return [
    { method: "GET", path: "/livez", answer: () => textAnswer(200, "ok\n") },
    {
      method: "GET",
      path: "/readyz",
      answer: () => {
        const reason = health.notReady();
        return reason === undefined ? textAnswer(200, "ok\n") : textAnswer(503, `${reason}\n`);
      },
    },
    {
      method: "GET",
      path: "/metrics",
      answer: async () => {
        const metrics = [...(await health.metrics()), ...processMetrics()];
        return textAnswer(200, renderMetrics(metrics), METRICS_TYPE);
      },
    },
  ];
}

/** One metric of one sample without labels. */
export function metric(type: Metric["type"], name: string, help: string, value: number): Metric {
  return { type, name, help, samples: [{ value }] };
}

/** Prometheus' text form, a newline at the end. A metric without samples is left out. */
export function renderMetrics(metrics: readonly Metric[]): string {
  let text = "";
  for (const { name, help, type, samples } of metrics) {
    if (samples.length === 0) continue;
    text += `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
    for (const { labels, value } of samples) text += `${name}${renderLabels(labels)} ${value}\n`;
  }
  return text;
}

function renderLabels(labels: Sample["labels"]): string {
  const pairs = Object.entries(labels ?? {});
  if (pairs.length === 0) return "";
  return `{${pairs.map(([name, value]) => `${name}="${escapeLabel(value)}"`).join(",")}}`;
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

/** The process as Linux sees it, in Prometheus' usual names. */
export function processMetrics(): Metric[] {
  const usage = process.cpuUsage();
  const seconds = (usage.user + usage.system) / 1e6;
  const startedAt = Math.round(Date.now() / 1000 - process.uptime());
  return [
    metric("counter", "process_cpu_seconds_total", "CPU time, user and system.", seconds),
    metric("gauge", "process_resident_memory_bytes", "Resident memory.", process.memoryUsage.rss()),
    metric("gauge", "process_open_fds", "Open descriptors.", openDescriptors()),
    metric("gauge", "process_max_fds", "Most descriptors that may be open.", maxDescriptors()),
    metric("gauge", "process_start_time_seconds", "When the process began.", startedAt),
  ];
}

function openDescriptors(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    // Not Linux, or no /proc: the number is unknown, which Prometheus writes so.
    return Number.NaN;
  }
}

/** The soft limit of open descriptors; Infinity without one, NaN when unknown. */
export function maxDescriptors(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.NaN;
  }
}
