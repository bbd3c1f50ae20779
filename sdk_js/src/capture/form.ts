/** Form submissions: which form, and the names of its fields. Never a value. */

import { on, type Report } from "./capture.js";

export const captureForms = (report: Report): void =>
  on<SubmitEvent & { target: HTMLFormElement }>("submit", ({ target: form }) => {
    report("form_submitted", {
      form: form.getAttribute("id") || form.getAttribute("name"),
      fields: [...new Set([...form.elements].map((field) => field.getAttribute("name")))].filter((name) => name).slice(0, 50),
    });
  });
