/** The tools that a run is offered now, in the form that models are sent. */
import { z } from 'zod';
import type { JsonObject } from '../../base/json.ts';
import type { ModelTool } from '../models/port.ts';
import { type ToolName, toolArguments, toolBehaviours } from '../tools/catalog.ts';
import type { Activity } from './context.ts';

const schemas = new Map<ToolName, JsonObject>();

function schemaOf(name: ToolName): JsonObject {
  let schema = schemas.get(name);
  if (!schema) {
    const { $schema: _, ...rest } = z.toJSONSchema(toolArguments[name], { io: 'input' }) as JsonObject;
    schema = rest;
    schemas.set(name, schema);
  }
  return schema;
}

const toTool = (name: ToolName): ModelTool => ({
  name,
  description: toolBehaviours[name].description,
  input_schema: schemaOf(name),
});

export interface Offer {
  tools: ModelTool[];
  /** UTF-8 bytes that they add to a request. */
  bytes: number;
}

const offers = new WeakMap<Activity, { key: string; offer: Offer }>();

/** What an activity is offered; made anew only when its task has been accepted in between. */
export function offerTo(activity: Activity): Offer {
  const key = String(activity.task.accepted_at);
  const made = offers.get(activity);
  if (made?.key === key) return made.offer;
  const tools = toolsFor(activity);
  const offer = { tools, bytes: Buffer.byteLength(JSON.stringify(tools)) };
  offers.set(activity, { key, offer });
  return offer;
}

/** Before a delegated task is accepted there is only the decision; then what the agent's definition grants. */
function toolsFor(activity: Pick<Activity, 'task' | 'agent'>): ModelTool[] {
  const { task, agent } = activity;
  if (task.parent_task_id !== null && task.accepted_at === null) return [toTool('decide_assignment')];
  return agent.tools
    .filter((name): name is ToolName => name in toolArguments && name !== 'decide_assignment')
    .map(name => withDecisions(toTool(name), task.decisions));
}

function withDecisions(tool: ModelTool, decisions: string[]): ModelTool {
  if (tool.name !== 'submit_result') return tool;
  const schema = structuredClone(tool.input_schema) as { properties: { decision: JsonObject } };
  schema.properties.decision = { ...schema.properties.decision, enum: decisions };
  return { ...tool, input_schema: schema as unknown as JsonObject };
}
