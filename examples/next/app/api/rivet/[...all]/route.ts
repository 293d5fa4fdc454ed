import { toNextHandler } from "stagedoor";
import { registry } from "../../../registry";

export const { GET, POST, PUT, DELETE, OPTIONS } = toNextHandler(registry);
