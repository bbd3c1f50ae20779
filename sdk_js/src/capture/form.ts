/** Form submissions: which form, and the names of its fields. Never a value. */

import { on, type Report } from "./capture";

export const captureForms = (report: Report): void =>
  on<SubmitEvent & { target: HTMLFormElement }>("submit", ({ target: form }) => {
    const fields = [...form.elements].map((field) => field.getAttribute("name")).filter((name) => name);
    report("form_submitted", {
      form: form.getAttribute("id") || form.getAttribute("name"),
      fields: [...new Set(fields)].slice(0, 50),
    });
  });
