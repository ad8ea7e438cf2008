"""Form renderer of Django's forms: `{{ form }}` by our own parts."""

from django.forms.renderers import TemplatesSetting


class Renderer(TemplatesSetting):
    """settings.FORM_RENDERER: the widgets are Django's, what is around them is ours."""

    form_template_name = "parts/form.html"
    field_template_name = "parts/field.html"
