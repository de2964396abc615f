/** Every text of the dashboard, in each of its languages. */

import { EN } from "./en.js";
import { ZH_CN } from "./zh-cn.js";

export const TEXTS = { en: EN, "zh-CN": ZH_CN };
